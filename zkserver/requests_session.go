package zkserver

import (
	"crypto/sha1" //nolint:gosec // the digest scheme of ZooKeeper is SHA-1
	"encoding/base64"
	"slices"
	"strings"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Handlers of what concerns the session or the connection.

// servePing answers with the xid of pings, whatever the request had.
func servePing(q *query) {
	q.xid = proto.XidPing
	q.answer(nil, keeper.OK)
}

// serveAuth adds an identity to the connection. A digest is never refused: a
// wrong password is another identity, which opens nothing.
func serveAuth(q *query) {
	r := record[*proto.AuthPacket](q)
	var who identity
	switch r.Scheme {
	case "digest":
		// Real servers hash whatever was sent, also without a colon.
		user, _, _ := strings.Cut(string(r.Auth), ":")
		sum := sha1.Sum(r.Auth) //nolint:gosec // see import
		who = identity{"digest", user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
	case "ip":
		who = q.c.ids[0]
	default:
		q.reply(0, nil, keeper.ErrAuthFailed)
		q.s.finish(q.c)
		return
	}
	if !slices.Contains(q.c.ids, who) {
		q.c.ids = append(q.c.ids, who)
	}
	bytes := 0
	for _, id := range q.c.ids {
		bytes += len(id.id)
	}
	if bytes > maxIdentityBytes {
		q.s.log.Warn("connection has too many identities", "from", q.c.remote)
		q.s.finish(q.c)
		return
	}
	q.reply(0, nil, keeper.OK)
}

// maxIdentityBytes bounds the identities of a connection, all together.
const maxIdentityBytes = 1 << 20

// serveSASL answers as a server without any SASL configuration does.
func serveSASL(q *query) { q.reply(0, &proto.SetSASLResponse{}, keeper.OK) }

// serveWhoAmI lists the identities without what is secret of them.
func serveWhoAmI(q *query) {
	var who proto.WhoAmIResponse
	for _, id := range q.c.ids {
		user := id.id
		if id.scheme == "digest" {
			user, _, _ = strings.Cut(user, ":")
		}
		who.ClientInfo = append(who.ClientInfo, proto.ClientInfo{AuthScheme: id.scheme, User: user})
	}
	q.answer(&who, keeper.OK)
}

// serveCloseSession ends the session and, after the reply, the connection.
// Watches of the connection on the session's own nodes still fire.
func serveCloseSession(q *query) {
	s, c := q.s, q.c
	zxid := s.endSession(c.session, q.xid)
	q.reply(zxid, nil, keeper.OK)
	s.finish(c)
}

// endSession takes a session away: all its ephemeral nodes go in one
// transaction. It returns the zxid.
func (s *Server) endSession(ss *session, xid int32) int64 {
	tx := s.begin(nil)
	tx.session = ss.id
	paths := make([]string, 0, len(s.tree.ephemerals[ss.id]))
	for path := range s.tree.ephemerals[ss.id] {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		tx.drop(path, s.tree.get(path))
	}
	delete(s.sessions.byID, ss.id)
	s.commit(tx, Txn{Zxid: tx.zxid, Time: tx.time, Session: ss.id, Xid: xid, Op: "closeSession"})
	return tx.zxid
}

// expire ends a session as its timeout does: its connection is closed without a
// word. It does nothing for nil. The caller holds s.mu.
func (s *Server) expire(ss *session) {
	if ss == nil {
		return
	}
	s.log.Info("session expired", "session", hexID(ss.id), "timeout", ss.timeout)
	if ss.conn != nil {
		s.finish(ss.conn)
	}
	s.endSession(ss, 0)
}
