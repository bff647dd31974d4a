package zkserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// The end of the sequence numbers is too far to walk there.
func TestSequenceEnd(t *testing.T) {
	tr := newTree()
	zxid := int64(0)
	run := func(paths ...string) []string {
		zxid++
		tx := &txn{tree: tr, zxid: zxid}
		made := make([]string, len(paths))
		for i, path := range paths {
			var code keeper.Code
			made[i], _, code = tx.create(newNode{path: path, acl: keeper.OpenACL(), sequential: true})
			if code != keeper.OK {
				made[i] = code.String()
			}
		}
		return made
	}
	tr.get("/").creates = 2147483646
	require.Equal(t, []string{"/a2147483646"}, run("/a"))
	require.Equal(t, []string{"/a2147483647"}, run("/a"))
	require.Equal(t, []string{"NODEEXISTS"}, run("/a"))
	before := tr.get("/").stat()
	require.Equal(t, []string{"/b2147483647"}, run("/b"))
	after := tr.get("/").stat()
	require.Equal(t, before.Pzxid, after.Pzxid, "the parent's counters stick")
	require.Equal(t, before.Cversion-1, after.Cversion)
	require.Equal(t, []string{"/c2147483647", "/c-2147483648", "/c-2147483647"}, run("/c", "/c", "/c"))
}

func TestRollbackRestoresTheTree(t *testing.T) {
	srv, err := New(Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.Close()) }()
	do := func(f func(tx *txn)) *txn {
		srv.mu.Lock()
		defer srv.mu.Unlock()
		srv.zxid++
		tx := &txn{tree: srv.tree, zxid: srv.zxid, session: 7}
		f(tx)
		return tx
	}
	do(func(tx *txn) {
		_, _, _ = tx.create(newNode{path: "/a", data: []byte("x"), acl: keeper.OpenACL()})
		_, _, _ = tx.create(newNode{path: "/a/e", acl: keeper.OpenACL(), ephemeral: true})
		_, _, _ = tx.create(newNode{path: "/c", acl: keeper.OpenACL(), container: true})
	})
	before := srv.Dump()
	stat := srv.tree.get("/a").stat()
	tx := do(func(tx *txn) {
		_, code := tx.setData("/a", nil, 0)
		require.Equal(t, keeper.OK, code)
		require.Equal(t, keeper.OK, tx.delete("/a/e", -1))
		_, code = tx.setACL("/a", keeper.ReadACL(), 0)
		require.Equal(t, keeper.OK, code)
		_, _, code = tx.create(newNode{path: "/c/x", acl: keeper.OpenACL(), ephemeral: true})
		require.Equal(t, keeper.OK, code)
		require.Equal(t, keeper.OK, tx.delete("/c/x", -1))
		require.Equal(t, keeper.OK, tx.delete("/c", -1))
		_, _, code = tx.create(newNode{path: "/t", acl: keeper.OpenACL(), ttl: time.Second})
		require.Equal(t, keeper.OK, code)
	})
	srv.mu.Lock()
	tx.rollback()
	srv.zxid--
	srv.mu.Unlock()
	require.Equal(t, before, srv.Dump())
	require.Equal(t, stat, srv.tree.get("/a").stat())
	require.Equal(t, keeper.OpenACL(), srv.tree.get("/a").acl)
	require.Equal(t, map[int64]map[string]struct{}{7: {"/a/e": {}}}, srv.tree.ephemerals)
	require.Equal(t, map[string]struct{}{"/c": {}}, srv.tree.reapable)
}

// Without sessions and nodes to reap there is nothing to wait for, and a
// synctest bubble that hangs is seen to hang.
func TestIdleClockHasNoTimer(t *testing.T) {
	srv, err := New(Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.Close()) }()
	_, ok := srv.tick()
	require.False(t, ok)
	srv.mu.Lock()
	srv.sessions.create(time.Second, srv.now())
	srv.mu.Unlock()
	wait, ok := srv.tick()
	require.True(t, ok)
	require.LessOrEqual(t, wait, 4*time.Second)
}

func TestSessionIDs(t *testing.T) {
	at := time.UnixMilli(0x12345678)
	table := newSessionTable(time.Second, at)
	a, b := table.create(time.Second, 0), table.create(time.Second, 0)
	require.EqualValues(t, 0x01_0012345678_0000, a.id)
	require.Equal(t, a.id+1, b.id)
	require.NotEqual(t, a.passwd, b.passwd)
	require.True(t, a.admits(a.passwd[:]))
	require.False(t, a.admits(b.passwd[:]))
	require.False(t, a.admits(nil))
}

// Every known opcode is served, or is left out for a reason.
func TestOpTable(t *testing.T) {
	leftOut := map[proto.OpCode]string{
		proto.OpCheck:         "alone it breaks real servers",
		proto.OpCreateSession: "the server's own",
	}
	for op := proto.OpCode(-20); op < 200; op++ {
		spec, served := ops[op]
		_, not := leftOut[op]
		require.Equal(t, op.Known(), served || not, "%v", op)
		require.False(t, served && not)
		if served {
			require.NotEmpty(t, spec.kind)
			require.NotNil(t, spec.serve)
		}
	}
}
