package keeper

import "strconv"

// EventType says what happened to a watched node.
type EventType int32

// Types of events. The zero EventType marks the zero Event, which a receive
// from the closed channel of a spent watch yields.
const (
	EventClosed          EventType = 0
	EventCreated         EventType = 1
	EventDeleted         EventType = 2
	EventDataChanged     EventType = 3
	EventChildrenChanged EventType = 4
	EventSession         EventType = -1 // the watch ended with its session or connection; Err says why
	EventNotWatching     EventType = -2 // the watch was given up; Err says why
)

// String returns a name such as "created".
func (t EventType) String() string {
	switch t {
	case EventClosed:
		return "closed"
	case EventCreated:
		return "created"
	case EventDeleted:
		return "deleted"
	case EventDataChanged:
		return "data-changed"
	case EventChildrenChanged:
		return "children-changed"
	case EventSession:
		return "session"
	case EventNotWatching:
		return "not-watching"
	}
	return "event(" + strconv.Itoa(int(t)) + ")"
}

// Event is what a watch delivers: a change of the node, or, with Err set, the
// reason why the watch ended without one.
type Event struct {
	Type EventType
	Path string // as the caller gave it, chroot removed
	Zxid int64  // of the change, where the server says it (ZooKeeper 3.9 on); else -1
	Err  error
}

// OK tells whether the event is a change of the node. It is false for a lost
// watch and for the zero Event.
func (e Event) OK() bool { return e.Err == nil && e.Type > 0 }

// String reads "deleted /a", or "session /a: session expired".
func (e Event) String() string {
	s := e.Type.String()
	if e.Path != "" {
		s += " " + quotePath(e.Path)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}
