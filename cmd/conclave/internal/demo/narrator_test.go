package demo

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReportNeedsEveryFact(t *testing.T) {
	require.False(t, Report{}.OK(), "nothing checked is nothing shown")
	require.True(t, Report{Facts: []Fact{{Holds: true}}}.OK())
	require.False(t, Report{Facts: []Fact{{Holds: true}, {Holds: false}}}.OK())
}

func TestSummaryShowsWhatFailed(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out, false)
	n.fact(true, "water is wet", "felt")
	n.fact(false, "fire is cold", "burnt")
	r, err := n.summary()
	require.NoError(t, err)
	require.False(t, r.OK())
	require.Contains(t, out.String(), "FAILED  fire is cold  burnt")
	require.Contains(t, out.String(), "1 of 2 facts hold")
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestNarrationThatIsLostIsAnError(t *testing.T) {
	n := newNarrator(brokenPipe{}, false)
	n.say("x", "y")
	_, err := n.summary()
	require.ErrorContains(t, err, "broken pipe")
}
