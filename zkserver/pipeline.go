package zkserver

import (
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// job is one frame on its way through the pipeline.
type job struct {
	c       *conn
	kind    string       // as in rules and counts
	session int64        // that asks, or that a handshake asks for
	request proto.Record // nil where there is no body, or a malformed one
	run     func()       // with s.mu held
}

// do takes a job through the pipeline: it waits out a freeze, asks the rules,
// and runs it. It reports whether the connection goes on.
func (s *Server) do(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enter(j.c) {
		return false
	}
	if ss := j.c.session; ss != nil {
		j.session = ss.id
		s.sessions.touch(ss, s.now())
	}
	r := s.match(j)
	if r.Fault == Delay && !s.pause(j.c, r.Delay) {
		return false
	}
	switch r.Fault {
	case CutBefore:
		s.finish(j.c)
		return false
	case ExpireBefore:
		s.expire(s.sessions.byID[j.session])
		if j.c.detached {
			return false
		}
	case CutAfter, ExpireAfter, Stall:
		j.c.out.mute()
	}
	j.run()
	switch r.Fault {
	case ReplyThenCut, CutAfter:
		s.finish(j.c)
	case ExpireAfter:
		s.expire(j.c.session)
		s.finish(j.c)
	}
	return !j.c.detached
}

// enter waits out a freeze. It reports whether c is still to be served. The
// caller holds s.mu.
func (s *Server) enter(c *conn) bool {
	for s.frozen && !c.detached {
		s.thawed.Wait()
	}
	return !c.detached
}

// pause holds c up for d with s.mu given back meanwhile, and reports whether c
// is still to be served.
func (s *Server) pause(c *conn, d time.Duration) bool {
	s.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-timer.C:
	case <-c.gone:
	}
	timer.Stop()
	s.mu.Lock()
	return s.enter(c)
}

// request serves one frame behind the handshake. It returns false when the
// connection is at its end, and why if that is the client's fault.
func (s *Server) request(c *conn, in *input, frame []byte, read int) (bool, error) {
	arrived := time.Now()
	var h proto.RequestHeader
	if err := h.ReadFrom(frame); err != nil {
		return false, err
	}
	op, known := ops[h.Op]
	body := frame[proto.RequestHeaderSize:]
	rec, malformed := proto.DecodeRequest(h.Op, body)
	if !known {
		op = opSpec{kind: h.Op.String(), serve: unknownOp}
	}
	q := &query{s: s, c: c, xid: h.Xid, op: op, rec: rec}
	j := &job{c: c, kind: op.kind, request: rec}
	j.run = func() {
		s.count(q, in, read)
		switch {
		case malformed != nil:
			s.log.Debug("malformed request", "from", c.remote, "err", malformed)
			q.malformed()
		case nullPath(op, body):
			q.fail(op.nullPath)
		default:
			op.serve(q)
		}
		s.latency.add(time.Since(arrived))
		c.stats.latency.add(time.Since(arrived))
	}
	return s.do(j), nil
}

// query is one request being served, with s.mu held.
type query struct {
	s   *Server
	c   *conn
	xid int32
	op  opSpec
	rec proto.Record
}

// answer replies to a request that changes nothing: with the zxid of the last
// transaction.
func (q *query) answer(body proto.Record, code keeper.Code) {
	q.reply(q.s.zxid, body, code)
}

func (q *query) reply(zxid int64, body proto.Record, code keeper.Code) {
	q.c.stats.lastZxid = zxid
	q.s.reply(q.c, proto.ReplyHeader{Xid: q.xid, Zxid: zxid, Err: code}, body)
}

// fail answers a request that was refused before it was looked at. For a write
// that takes a zxid, as every failed write does.
func (q *query) fail(code keeper.Code) {
	if q.op.write {
		q.transact(func(*txn) (proto.Record, keeper.Code) { return nil, code })
		return
	}
	q.answer(nil, code)
}

// malformed answers a body that could not be decoded.
func (q *query) malformed() {
	if q.op.strict {
		q.s.finish(q.c)
		return
	}
	q.fail(keeper.ErrMarshalling)
}

// transact runs a write: it takes a zxid whatever comes of it, fires the
// watches, and only then replies.
func (q *query) transact(f func(tx *txn) (proto.Record, keeper.Code)) {
	s := q.s
	tx := s.begin(q.c)
	body, code := f(tx)
	entry := Txn{Zxid: tx.zxid, Time: tx.time, Session: tx.session, Xid: q.xid, Op: q.op.kind, Err: code}
	if code == keeper.OK {
		entry.Err = tx.failed
	}
	if entry.Err != keeper.OK {
		tx.rollback()
		entry.Path = target(q.rec)
	}
	s.commit(tx, entry)
	q.reply(tx.zxid, body, code)
}

// begin starts a transaction on behalf of c; nil is the server itself.
func (s *Server) begin(c *conn) *txn {
	s.zxid++
	tx := &txn{tree: s.tree, zxid: s.zxid, time: time.Now().UnixMilli(), ttlNodes: s.opts.TTLNodes}
	if c != nil {
		tx.ids = c.ids
		if c.session != nil {
			tx.session = c.session.id
		}
	}
	return tx
}

// commit records a transaction and tells the watches of what it did.
func (s *Server) commit(tx *txn, entry Txn) {
	switch {
	case entry.Op == "multi" || entry.Op == "closeSession":
		entry.Ops = tx.log
	case len(tx.log) > 0:
		entry.Path = tx.log[0].Path
	}
	s.record(entry)
	for _, t := range tx.triggers {
		s.fire(t)
	}
	if len(s.tree.reapable) > 0 {
		s.poke()
	}
}

// fire tells the watches of one change, in the order of real servers.
func (s *Server) fire(t trigger) {
	switch t.event {
	case keeper.EventCreated:
		s.tell(s.data.fire(t.path, t.event), t.event, t.path, t.acl)
	case keeper.EventDataChanged:
		s.tell(s.data.fire(t.path, t.event), t.event, t.path, t.acl)
		return
	case keeper.EventDeleted:
		told := s.data.fire(t.path, t.event)
		s.tell(told, t.event, t.path, t.acl)
		s.tell(without(s.child.fire(t.path, t.event), told), t.event, t.path, t.acl)
	}
	parent := keeper.Parent(t.path)
	s.tell(s.child.fire(parent, keeper.EventChildrenChanged), keeper.EventChildrenChanged, parent, t.parent)
}

// tell notifies those who may read the node; for the others the watch is spent
// without a word.
func (s *Server) tell(to []*conn, event keeper.EventType, path string, acl []keeper.ACL) {
	for _, c := range to {
		if allowed(acl, keeper.PermRead, c.ids) {
			s.notify(c, event, path)
		}
	}
}
