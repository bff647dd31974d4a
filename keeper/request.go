package keeper

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Result is embedded in every request and says what became of it. Do clears it
// on entry; it belongs to the session until Do returns.
type Result struct {
	Err  error // nil, or what OutcomeOf is asked of
	Xid  int32 // number of the request in its session; 0 when it was never sent
	Zxid int64 // of the reply: the state of the server that answered
}

// Meta returns the result. It is how implementations of Session reach it.
func (r *Result) Meta() *Result { return r }

// Request is what Session.Do sends. The set is closed: Create, Delete, Get,
// Set, Exists, Children, GetACL, SetACL, Sync and Multi.
type Request interface {
	Meta() *Result
	Name() string   // "create", as in errors and logs
	Target() string // the path, "" if there is none
	// Validate reports an *InvalidError for what must not be sent.
	Validate() error
	// Reset clears every result field.
	Reset()
	request()
}

// Op may stand in a Multi: Create, Delete, Set and Check. A Check is no
// Request, because a server that gets one alone breaks.
type Op interface {
	Meta() *Result
	Name() string
	Target() string
	Validate() error
	Reset()
	op()
}

// AnyVersion as a version matches every version.
const AnyVersion int32 = -1

// Create makes a node. The parent must exist.
type Create struct {
	Path string // a prefix for sequential modes
	Data []byte // nil is stored as null, not as empty
	ACL  []ACL  // nil: the connection's default
	Mode Mode
	TTL  time.Duration // for the two TTL modes only; whole milliseconds

	Result
	Created string // path of the node that was made
	Stat    Stat   // zero in a Multi on servers before 3.8.2, which do not send it
}

// Delete removes a node that has no children.
type Delete struct {
	Path    string
	Version int32 // AnyVersion, or the version the node must have
	Result
}

// Get reads a node.
type Get struct {
	Path  string
	Watch bool // set a watch that fires on the next change of data, or the delete

	Result
	Data    []byte // nil for a null value
	Stat    Stat
	Watched *Watch // set on success if Watch was asked for
}

// Set writes a node's data.
type Set struct {
	Path    string
	Data    []byte
	Version int32 // AnyVersion, or the version the node must have
	Result
	Stat Stat
}

// Exists looks for a node. That there is none is an answer, not an error.
type Exists struct {
	Path  string
	Watch bool // fires on the next create, change of data, or delete

	Result
	Found   bool
	Stat    Stat   // zero unless Found
	Watched *Watch // set if Watch was asked for, found or not
}

// Children lists a node's children, in no order.
type Children struct {
	Path  string
	Watch bool // fires on the next create or delete of a child, or the node's delete

	Result
	Names   []string // last components
	Stat    Stat
	Watched *Watch
}

// GetACL reads a node's access control list. Unless the session has the ADMIN
// permission, digests come masked.
type GetACL struct {
	Path string
	Result
	ACL  []ACL
	Stat Stat
}

// SetACL replaces a node's access control list.
type SetACL struct {
	Path    string
	ACL     []ACL // nil: the connection's default
	Version int32 // AnyVersion, or the Aversion the node must have
	Result
	Stat Stat
}

// Sync brings the server up to the leader's state of the moment. It is not a
// quorum operation: a deposed leader that has not noticed answers it too.
type Sync struct {
	Path string
	Result
}

// Check stands in a Multi and requires the node to exist and, unless Version is
// AnyVersion, to have that version.
type Check struct {
	Path    string
	Version int32
	Result
	admit func(session int64) error
}

// NewGuard returns a Check bound to a hold: admit is asked at each Do, with the
// session that is about to send it, and its error keeps the whole Multi from
// being sent.
func NewGuard(path string, version int32, admit func(session int64) error) *Check {
	return &Check{Path: path, Version: version, admit: admit}
}

// Multi applies all its ops or none. Each op has its own result: when the Multi
// fails, the culprit has its code and the others ErrRuntimeInconsistency, and
// all of them are NotApplied.
type Multi struct {
	Ops []Op
	Result
}

// Name, Target, Reset and the markers of each request.

func (*Create) Name() string     { return "create" }
func (*Delete) Name() string     { return "delete" }
func (*Get) Name() string        { return "get" }
func (*Set) Name() string        { return "set" }
func (*Exists) Name() string     { return "exists" }
func (*Children) Name() string   { return "children" }
func (*GetACL) Name() string     { return "get ACL" }
func (*SetACL) Name() string     { return "set ACL" }
func (*Sync) Name() string       { return "sync" }
func (*Check) Name() string      { return "check" }
func (*Multi) Name() string      { return "multi" }
func (r *Create) Target() string { return r.Path }
func (r *Delete) Target() string { return r.Path }
func (r *Get) Target() string    { return r.Path }
func (r *Set) Target() string    { return r.Path }

func (r *Exists) Target() string   { return r.Path }
func (r *Children) Target() string { return r.Path }
func (r *GetACL) Target() string   { return r.Path }
func (r *SetACL) Target() string   { return r.Path }
func (r *Sync) Target() string     { return r.Path }
func (r *Check) Target() string    { return r.Path }

// Target is the path of the first op: it names the Multi in errors.
func (r *Multi) Target() string {
	if len(r.Ops) == 0 || isNil(r.Ops[0]) {
		return ""
	}
	return r.Ops[0].Target()
}

func (r *Create) Reset()   { r.Result, r.Created, r.Stat = Result{}, "", Stat{} }
func (r *Delete) Reset()   { r.Result = Result{} }
func (r *Get) Reset()      { r.Result, r.Data, r.Stat, r.Watched = Result{}, nil, Stat{}, nil }
func (r *Set) Reset()      { r.Result, r.Stat = Result{}, Stat{} }
func (r *Exists) Reset()   { r.Result, r.Found, r.Stat, r.Watched = Result{}, false, Stat{}, nil }
func (r *Children) Reset() { r.Result, r.Names, r.Stat, r.Watched = Result{}, nil, Stat{}, nil }
func (r *GetACL) Reset()   { r.Result, r.ACL, r.Stat = Result{}, nil, Stat{} }
func (r *SetACL) Reset()   { r.Result, r.Stat = Result{}, Stat{} }
func (r *Sync) Reset()     { r.Result = Result{} }
func (r *Check) Reset()    { r.Result = Result{} }

// Reset clears the results of the ops too.
func (r *Multi) Reset() {
	r.Result = Result{}
	for _, op := range r.Ops {
		if !isNil(op) {
			op.Reset()
		}
	}
}

func (*Create) request()   {}
func (*Delete) request()   {}
func (*Get) request()      {}
func (*Set) request()      {}
func (*Exists) request()   {}
func (*Children) request() {}
func (*GetACL) request()   {}
func (*SetACL) request()   {}
func (*Sync) request()     {}
func (*Multi) request()    {}

func (*Create) op() {}
func (*Delete) op() {}
func (*Set) op()    {}
func (*Check) op()  {}

// Validate checks path, mode, TTL and ACL.
func (r *Create) Validate() error {
	if !r.Mode.valid() {
		return &InvalidError{What: "mode", Value: strconv.Itoa(int(r.Mode)), Why: "is not one of the seven"}
	}
	if r.Mode.HasTTL() {
		if r.TTL < time.Millisecond || r.TTL > MaxTTL || r.TTL%time.Millisecond != 0 {
			return &InvalidError{What: "TTL", Value: r.TTL.String(), Why: "must be whole milliseconds from 1 to 2^40-1"}
		}
	} else if r.TTL != 0 {
		return &InvalidError{What: "TTL", Value: r.TTL.String(), Why: "needs a TTL mode, not " + r.Mode.String()}
	}
	if err := ValidateACL(r.ACL); err != nil {
		return err
	}
	if r.Mode.IsSequential() {
		return validateSequential(r.Path)
	}
	if r.Path == "/" {
		return &InvalidError{What: "path", Value: r.Path, Why: "the root always exists"}
	}
	return ValidatePath(r.Path)
}

// Validate checks path and version.
func (r *Delete) Validate() error {
	// The server's own nodes cannot be deleted either, but under a chroot their
	// paths are ordinary ones: that refusal is left to the server.
	if r.Path == "/" {
		return &InvalidError{What: "path", Value: r.Path, Why: "the root cannot be deleted"}
	}
	return validatePathVersion(r.Path, r.Version)
}

// Validate checks the path.
func (r *Get) Validate() error { return ValidatePath(r.Path) }

// Validate checks path and version.
func (r *Set) Validate() error { return validatePathVersion(r.Path, r.Version) }

// Validate checks the path.
func (r *Exists) Validate() error { return ValidatePath(r.Path) }

// Validate checks the path.
func (r *Children) Validate() error { return ValidatePath(r.Path) }

// Validate checks the path.
func (r *GetACL) Validate() error { return ValidatePath(r.Path) }

// Validate checks path, version and ACL.
func (r *SetACL) Validate() error {
	if err := ValidateACL(r.ACL); err != nil {
		return err
	}
	return validatePathVersion(r.Path, r.Version)
}

// Validate checks the path.
func (r *Sync) Validate() error { return ValidatePath(r.Path) }

// Validate checks path and version.
func (r *Check) Validate() error { return validatePathVersion(r.Path, r.Version) }

// Validate checks every op. An empty Multi is legal.
func (r *Multi) Validate() error {
	if len(r.Ops) > math.MaxInt32 {
		return &InvalidError{What: "multi", Why: "has too many ops"}
	}
	for i, op := range r.Ops {
		if isNil(op) {
			return &InvalidError{What: "multi", Why: fmt.Sprintf("op %d is nil", i)}
		}
		if err := op.Validate(); err != nil {
			return fmt.Errorf("op %d, %s: %w", i, op.Name(), err)
		}
	}
	return nil
}

func validatePathVersion(path string, version int32) error {
	if version < AnyVersion {
		return &InvalidError{What: "version", Value: strconv.Itoa(int(version)), Why: "must be -1 (any) or a version"}
	}
	return ValidatePath(path)
}
