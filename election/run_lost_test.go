package election_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// The leader's node is deleted, and fn returns before anybody could notice: the
// term was lost all the same.
func TestRunGoesOnAfterALossThatOnlyTheReleaseFinds(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c, other := dial(t, srv), dial(t, srv)
		done := errors.New("done")
		terms := 0
		err := newElection(t, c, "/election").Run(t.Context(), func(ctx context.Context, term *election.Leadership) error {
			if terms++; terms == 3 {
				return done
			}
			assert.NoError(t, other.Delete(ctx, term.Node(), keeper.AnyVersion))
			assert.True(t, term.Valid(), "it has not been noticed")
			if terms == 2 {
				return errors.New("of a term that was lost")
			}
			return nil
		})
		require.ErrorIs(t, err, done)
		assert.NotErrorIs(t, err, keeper.ErrHoldLost)
		assert.Equal(t, 3, terms)
	})
}

// The answer to a Proclaim is lost, before or after it was applied: the value is
// shown, and the term goes on.
func TestProclaimWithALostAnswer(t *testing.T) {
	for _, fault := range []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter} {
		inBubble(t, func(t *testing.T, srv *zktest.Server) {
			e := newElection(t, dial(t, srv), "/election")
			leader := mustLead(t, e, "a")
			srv.Inject(zkserver.Rule{Kind: "multi", Fault: fault})
			require.NoError(t, leader.Proclaim(t.Context(), []byte("b")))
			shown, err := e.Leader(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "b", string(shown.Value))
			assert.Equal(t, leader.Token(), shown.Token)
			require.NoError(t, leader.Release(t.Context()))
		})
	}
}
