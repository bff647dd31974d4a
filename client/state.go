package client

import (
	"slices"
	"strconv"
	"sync"
)

// State is where a Client stands.
type State uint8

// States of a Client. Closed is final; AuthFailed is left by closing only.
const (
	// Disconnected: not started, or waiting to try the next server.
	Disconnected State = iota + 1
	// Connecting: a server is being dialled.
	Connecting
	// Handshaking: the server is up, its answer about the session outstanding.
	Handshaking
	// Authenticating: the session stands; credentials and watches are being
	// handed to this server, user requests wait.
	Authenticating
	// Connected: requests flow.
	Connected
	// ReadOnly: only a server cut off from its quorum answered; the next one is
	// about to be tried.
	ReadOnly
	// AuthFailed: a server refused the credentials. The Client gives up.
	AuthFailed
	// Closing: Shutdown or Close runs.
	Closing
	// Closed: it has ended.
	Closed
)

// String returns a name such as "connected".
func (s State) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connecting:
		return "connecting"
	case Handshaking:
		return "handshaking"
	case Authenticating:
		return "authenticating"
	case Connected:
		return "connected"
	case ReadOnly:
		return "read-only"
	case AuthFailed:
		return "authentication failed"
	case Closing:
		return "closing"
	case Closed:
		return "closed"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// next lists the states that may follow s: the table of transitions.
func (s State) next() []State {
	switch s {
	case Disconnected:
		return []State{Connecting, Closing}
	case Connecting:
		return []State{Handshaking, Disconnected, Closing}
	case Handshaking:
		return []State{Authenticating, ReadOnly, Disconnected, Closing}
	case Authenticating:
		return []State{Connected, Disconnected, AuthFailed, Closing}
	case Connected:
		return []State{Disconnected, AuthFailed, Closing}
	case ReadOnly:
		return []State{Connecting, Closing}
	case AuthFailed:
		return []State{Closing}
	case Closing:
		return []State{Closed}
	}
	return nil
}

// sessionState is where one session stands.
type sessionState uint8

const (
	// sessionLive: proved to be alive, or too young to need it.
	sessionLive sessionState = iota + 1
	// sessionLapsed: ValidUntil was seen to have passed. The session may exist
	// and be proved again; what was registered with AfterLapse has been told.
	sessionLapsed
	// sessionExpired: the server says so, or nothing was heard for 4/3 of the
	// timeout.
	sessionExpired
	// sessionClosed: ended by its owner, or with refused credentials.
	sessionClosed
)

// String returns a name such as "live".
func (s sessionState) String() string {
	switch s {
	case sessionLive:
		return "live"
	case sessionLapsed:
		return "lapsed"
	case sessionExpired:
		return "expired"
	case sessionClosed:
		return "closed"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// next is the session's table of transitions.
func (s sessionState) next() []sessionState {
	switch s {
	case sessionLive:
		return []sessionState{sessionLapsed, sessionExpired, sessionClosed}
	case sessionLapsed:
		return []sessionState{sessionLive, sessionExpired, sessionClosed}
	}
	return nil
}

func (s sessionState) over() bool { return s == sessionExpired || s == sessionClosed }

// latch holds the latest State and a channel that is closed at the next change.
type latch struct {
	mu      sync.Mutex
	state   State         // guarded by mu
	changed chan struct{} // guarded by mu
}

func newLatch() *latch { return &latch{state: Disconnected, changed: make(chan struct{})} }

func (l *latch) get() (State, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.changed
}

// set moves to a state and reports false, changing nothing, for a transition
// that is not in the table. What happens to the connection while the Client is
// closing is of no interest any more and refused that way too.
func (l *latch) set(to State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.state.next(), to) {
		return false
	}
	l.state = to
	close(l.changed)
	l.changed = make(chan struct{})
	return true
}
