package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/conclave-go/conclave/keeper"
)

// ErrSequenceExhausted says that the directory has given out nearly all of its
// 2^31 sequence numbers, after which order is lost. Delete the directory, or use
// another one; its numbers then start from 0 again.
var ErrSequenceExhausted = errors.New("sequence numbers of the directory are exhausted")

// lastSequence leaves a million creates between our error and the number at
// which servers stop counting: other programs create in the directory too.
const lastSequence = math.MaxInt32 - 1_000_000

// Names is how the nodes of one kind of line are called:
//
//	_c_<UUID>-<marker><sequence>
//
// which is what Curator writes. The UUID tells the contender, the marker the
// kind of line, the sequence the order. Nodes of other programs count if their
// names end in a known marker and a sequence; what stands before is theirs.
//
// The zero value has no marker and recognises nothing; use NewNames. A Names is
// immutable.
type Names struct {
	own   string
	known []string
}

// maxMarker keeps a whole name within keeper.MaxName.
const maxMarker = 64

// NewNames makes names that end in the marker own, such as "lock-", and counts
// nodes whose markers are own or one of others. It refuses, as
// *keeper.InvalidError, a marker that cannot be part of a name, is longer than
// 64 bytes, or ends in a digit.
func NewNames(own string, others ...string) (Names, error) {
	known := append([]string{own}, others...)
	for _, marker := range known {
		if err := keeper.ValidateName("marker", marker); err != nil {
			return Names{}, err
		}
		invalid := keeper.InvalidError{What: "marker", Value: marker}
		switch last := marker[len(marker)-1]; {
		case len(marker) > maxMarker:
			invalid.Why = "is longer than 64 bytes"
		case last >= '0' && last <= '9':
			invalid.Why = "ends in a digit, so the sequence after it has no beginning"
		default:
			continue
		}
		return Names{}, &invalid
	}
	return Names{own: own, known: known}, nil
}

// Place is a contender's place in line, as its node's name tells it.
type Place struct {
	Name   string // of the node
	Marker string // which of the known ones
	Seq    int32  // the lower the earlier
}

// Parse reads the name of a node. It reports false for a name that is not a
// contender's.
func (n Names) Parse(name string) (Place, bool) {
	for _, marker := range n.known {
		if seq, ok := sequence(name, marker); ok {
			return Place{Name: name, Marker: marker, Seq: seq}, true
		}
	}
	return Place{}, false
}

// sequence returns the number after marker at the end of name. It takes exactly
// what servers print, "%010d": ten digits, or, past the end of 31 bits, '-' and
// nine or ten.
func sequence(name, marker string) (int32, bool) {
	for _, width := range [...]int{10, 11} {
		head := len(name) - width
		if head < len(marker) || name[head-len(marker):head] != marker {
			continue
		}
		digits := name[head:]
		seq, err := strconv.ParseInt(digits, 10, 32)
		switch {
		case err != nil || digits[0] == '+':
		case digits[0] != '-' && width == 10, fmt.Sprintf("%010d", seq) == digits:
			return int32(seq), true
		}
	}
	return 0, false
}

// Sort returns the contenders among names in their order, and how many of the
// names are not contenders'.
func (n Names) Sort(names []string) (line []Place, others int) {
	line = make([]Place, 0, len(names))
	for _, name := range names {
		if place, ok := n.Parse(name); ok {
			line = append(line, place)
		}
	}
	// Two nodes with one number are possible only past the end of the sequence;
	// the name then gives all programs the same order.
	slices.SortFunc(line, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Name, b.Name))
	})
	return line, len(names) - len(line)
}

// WhoAmI returns "host/pid" of this process: what a contender's node holds by
// default, to help whoever looks at a line that does not move.
func WhoAmI() []byte {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Appendf(nil, "%s/%d", host, os.Getpid())
}

// newID returns what makes a contender's name its own.
func newID() string { return uuid.NewString() }

// idPrefix is what the names of the contender with this id begin with, and no
// other name does.
func idPrefix(id string) string { return "_c_" + id + "-" }

func hasID(name, id string) bool { return strings.HasPrefix(name, idPrefix(id)) }

// prefix is the path component that a sequential create gets.
func (n Names) prefix(id string) string { return idPrefix(id) + n.own }
