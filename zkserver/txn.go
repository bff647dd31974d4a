package zkserver

import (
	"fmt"
	"strings"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// txn is one change of the tree. All that is done in it has one zxid and one
// time, shows at once, and is undone as a whole by rollback. Watches are told
// when the server commits it, in the order of the triggers.
type txn struct {
	tree    *tree
	zxid    int64
	time    int64 // wall clock, ms
	session int64
	ids     []identity // of who asks

	ttlNodes bool        // TTL nodes are allowed
	failed   keeper.Code // why a multi failed: its reply has no error itself

	undo     []func()
	triggers []trigger
	log      []Txn // what was done, for the history

	// creates runs ahead of node.creates, which sticks at its maximum: only
	// creates of one multi can see it wrap.
	creates map[*node]int32
}

// trigger is what one op does to the watches.
type trigger struct {
	event  keeper.EventType // created, deleted or data-changed
	path   string
	acl    []keeper.ACL // of the node
	parent []keeper.ACL // of its parent
}

// newNode is what a create asks for.
type newNode struct {
	path       string
	data       []byte
	acl        []keeper.ACL
	ephemeral  bool
	sequential bool
	container  bool
	ttl        time.Duration
}

// The order of the checks in the methods below is that of real servers: the
// first failure is the one a client sees.

func (tx *txn) create(r newNode) (path string, n *node, code keeper.Code) {
	slash := strings.LastIndexByte(r.path, '/')
	if slash < 0 || strings.IndexByte(r.path, 0) >= 0 {
		return "", nil, keeper.ErrBadArguments
	}
	acl, code := fixACL(r.acl, tx.ids)
	if code != keeper.OK {
		return "", nil, code
	}
	parent := tx.tree.get(r.path[:slash])
	if parent == nil {
		return "", nil, keeper.ErrNoNode
	}
	if !allowed(parent.acl, keeper.PermCreate, tx.ids) {
		return "", nil, keeper.ErrNoAuth
	}
	sequence := tx.sequence(parent)
	path = r.path
	if r.sequential {
		path += fmt.Sprintf("%010d", sequence)
	}
	if keeper.ValidatePath(path) != nil {
		return "", nil, keeper.ErrBadArguments
	}
	if tx.tree.get(path) != nil {
		return "", nil, keeper.ErrNodeExists
	}
	if parent.owner != 0 {
		return "", nil, keeper.ErrNoChildrenForEphemerals
	}

	n = &node{
		data: r.data, acl: acl,
		czxid: tx.zxid, mzxid: tx.zxid, pzxid: tx.zxid, ctime: tx.time, mtime: tx.time,
		container: r.container, ttl: r.ttl,
	}
	if r.ephemeral {
		n.owner = tx.session
	}
	before := *parent
	tx.tree.add(path, n)
	tx.setSequence(parent, sequence+1)
	if sequence+1 > parent.creates {
		parent.creates, parent.pzxid = sequence+1, tx.zxid
	}
	tx.undo = append(tx.undo, func() {
		tx.tree.remove(path, n)
		parent.creates, parent.pzxid = before.creates, before.pzxid
	})
	tx.triggers = append(tx.triggers, trigger{keeper.EventCreated, path, n.acl, parent.acl})
	tx.did("create", path)
	return path, n, keeper.OK
}

// sequence is the number the next child of parent gets.
func (tx *txn) sequence(parent *node) int32 {
	if n, ok := tx.creates[parent]; ok {
		return n
	}
	return parent.creates
}

func (tx *txn) setSequence(parent *node, n int32) {
	if tx.creates == nil {
		tx.creates = make(map[*node]int32)
	}
	tx.creates[parent] = n
}

func (tx *txn) delete(path string, version int32) keeper.Code {
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 || strings.IndexByte(path, 0) >= 0 || specialPath(path) {
		return keeper.ErrBadArguments
	}
	parent := tx.tree.get(path[:slash])
	if parent == nil {
		return keeper.ErrNoNode
	}
	if !allowed(parent.acl, keeper.PermDelete, tx.ids) {
		return keeper.ErrNoAuth
	}
	n := tx.tree.get(path)
	switch {
	case n == nil:
		return keeper.ErrNoNode
	case version != keeper.AnyVersion && version != n.version:
		return keeper.ErrBadVersion
	case len(n.children) > 0:
		return keeper.ErrNotEmpty
	}
	tx.drop(path, n)
	return keeper.OK
}

// drop deletes a node that may be deleted. Ephemerals of a session that ends
// and nodes the reaper takes come straight here.
func (tx *txn) drop(path string, n *node) {
	parent := tx.tree.get(keeper.Parent(path))
	pzxid := parent.pzxid
	tx.tree.remove(path, n)
	parent.pzxid = max(pzxid, tx.zxid)
	tx.undo = append(tx.undo, func() {
		tx.tree.add(path, n)
		parent.pzxid = pzxid
	})
	tx.triggers = append(tx.triggers, trigger{keeper.EventDeleted, path, n.acl, parent.acl})
	tx.did("delete", path)
}

func (tx *txn) setData(path string, data []byte, version int32) (*node, keeper.Code) {
	if keeper.ValidatePath(path) != nil {
		return nil, keeper.ErrBadArguments
	}
	n := tx.tree.get(path)
	switch {
	case n == nil:
		return nil, keeper.ErrNoNode
	case !allowed(n.acl, keeper.PermWrite, tx.ids):
		return nil, keeper.ErrNoAuth
	case version != keeper.AnyVersion && version != n.version:
		return nil, keeper.ErrBadVersion
	}
	before := *n
	n.data, n.mzxid, n.mtime = data, tx.zxid, tx.time
	n.version++
	tx.undo = append(tx.undo, func() {
		n.data, n.mzxid, n.mtime, n.version = before.data, before.mzxid, before.mtime, before.version
	})
	tx.triggers = append(tx.triggers, trigger{event: keeper.EventDataChanged, path: path, acl: n.acl})
	tx.did("setData", path)
	return n, keeper.OK
}

func (tx *txn) setACL(path string, acl []keeper.ACL, version int32) (*node, keeper.Code) {
	if keeper.ValidatePath(path) != nil {
		return nil, keeper.ErrBadArguments
	}
	acl, code := fixACL(acl, tx.ids)
	if code != keeper.OK {
		return nil, code
	}
	n := tx.tree.get(path)
	switch {
	case n == nil:
		return nil, keeper.ErrNoNode
	case !allowed(n.acl, keeper.PermAdmin, tx.ids):
		return nil, keeper.ErrNoAuth
	case version != keeper.AnyVersion && version != n.aversion:
		return nil, keeper.ErrBadVersion
	}
	before := *n
	n.acl = acl
	n.aversion++
	tx.undo = append(tx.undo, func() { n.acl, n.aversion = before.acl, before.aversion })
	tx.did("setACL", path)
	return n, keeper.OK
}

func (tx *txn) check(path string, version int32) keeper.Code {
	if keeper.ValidatePath(path) != nil {
		return keeper.ErrBadArguments
	}
	n := tx.tree.get(path)
	switch {
	case n == nil:
		return keeper.ErrNoNode
	case !allowed(n.acl, keeper.PermRead, tx.ids):
		return keeper.ErrNoAuth
	case version != keeper.AnyVersion && version != n.version:
		return keeper.ErrBadVersion
	}
	tx.did("check", path)
	return keeper.OK
}

// did notes for the history what has been done.
func (tx *txn) did(op, path string) { tx.log = append(tx.log, Txn{Op: op, Path: path}) }

// rollback takes everything back, last step first.
func (tx *txn) rollback() {
	for i := len(tx.undo) - 1; i >= 0; i-- {
		tx.undo[i]()
	}
	tx.undo, tx.triggers, tx.log = nil, nil, nil
}
