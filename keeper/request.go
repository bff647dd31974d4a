package keeper

import "time"

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
	Names   []string // last components; they share memory, so clone a few that outlive many
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
