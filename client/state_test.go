package client

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The diagram of states, as the documentation draws it.
func TestStateTransitions(t *testing.T) {
	all := []State{Disconnected, Connecting, Handshaking, Authenticating, Connected, ReadOnly, AuthFailed, Closing, Closed}
	want := map[State][]State{
		Disconnected:   {Connecting, Closing},
		Connecting:     {Handshaking, Disconnected, Closing},
		Handshaking:    {Authenticating, ReadOnly, Disconnected, Closing},
		Authenticating: {Connected, Disconnected, AuthFailed, Closing},
		Connected:      {Disconnected, AuthFailed, Closing},
		ReadOnly:       {Connecting, Closing},
		AuthFailed:     {Closing},
		Closing:        {Closed},
		Closed:         nil,
	}
	for _, from := range all {
		for _, to := range all {
			l := newLatch()
			l.state = from
			_, changed := l.get()
			ok := l.set(to)
			now, _ := l.get()
			select {
			case <-changed:
				require.True(t, ok, "%v to %v was announced", from, to)
			default:
				require.False(t, ok, "%v to %v was not announced", from, to)
			}
			if require.Equal(t, slices.Contains(want[from], to), ok, "%v to %v", from, to); ok {
				require.Equal(t, to, now)
			} else {
				require.Equal(t, from, now)
			}
		}
	}
	for _, s := range all {
		require.NotContains(t, s.String(), "state(")
	}
	require.Equal(t, "state(99)", State(99).String())
}

func TestSessionStateTransitions(t *testing.T) {
	all := []sessionState{sessionLive, sessionLapsed, sessionExpired, sessionClosed}
	want := map[sessionState][]sessionState{
		sessionLive:   {sessionLapsed, sessionExpired, sessionClosed},
		sessionLapsed: {sessionLive, sessionExpired, sessionClosed},
	}
	for _, from := range all {
		for _, to := range all {
			v := newValidity()
			v.state = from
			v.enter(to)
			if slices.Contains(want[from], to) {
				require.Equal(t, to, v.state, "%v to %v", from, to)
			} else {
				require.Equal(t, from, v.state, "%v to %v", from, to)
			}
		}
		require.NotContains(t, from.String(), "state(")
	}
	require.True(t, sessionExpired.over() && sessionClosed.over())
	require.False(t, sessionLive.over() || sessionLapsed.over())
}
