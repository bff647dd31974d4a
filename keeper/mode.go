package keeper

import (
	"strconv"
	"time"
)

// Mode is the kind of node a Create makes.
type Mode int32

// The seven kinds. Sequential modes append ten digits, the parent's count of
// creates so far, to the path.
const (
	Persistent Mode = iota
	Ephemeral
	PersistentSequential
	EphemeralSequential
	Container // removed by the server once its last child is gone
	PersistentTTL
	PersistentSequentialTTL
)

//nolint:gochecknoglobals // a table that never changes
var modeNames = [...]string{
	"persistent", "ephemeral", "persistent-sequential", "ephemeral-sequential",
	"container", "persistent-ttl", "persistent-sequential-ttl",
}

// String returns a name such as "ephemeral-sequential".
func (m Mode) String() string {
	if m.valid() {
		return modeNames[m]
	}
	return "mode(" + strconv.Itoa(int(m)) + ")"
}

func (m Mode) valid() bool { return m >= Persistent && m <= PersistentSequentialTTL }

// IsSequential tells whether the server appends a number to the path.
func (m Mode) IsSequential() bool {
	return m == PersistentSequential || m == EphemeralSequential || m == PersistentSequentialTTL
}

// IsEphemeral tells whether the node dies with the session.
func (m Mode) IsEphemeral() bool { return m == Ephemeral || m == EphemeralSequential }

// HasTTL tells whether Create.TTL must be set.
func (m Mode) HasTTL() bool { return m == PersistentTTL || m == PersistentSequentialTTL }

// MaxTTL is the longest time a TTL node can be given.
const MaxTTL = (1<<40 - 1) * time.Millisecond
