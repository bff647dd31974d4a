package zkserver

import (
	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// opSpec is how one kind of request is served.
type opSpec struct {
	kind   string // in counts, rules and the history
	word   string // in the cons command
	write  bool   // takes a zxid, also when it fails
	strict bool   // a malformed body closes the connection

	// nullPath is the answer to a null path, OK where it passes as an empty
	// one. Only bodies that start with a path have it.
	nullPath keeper.Code

	serve func(q *query)
}

// ops is how requests are served. What is not in it is not implemented.
//
//nolint:gochecknoglobals // a table, never written
var ops = map[proto.OpCode]opSpec{
	proto.OpCreate:          {kind: "create", word: "CREA", write: true, nullPath: keeper.ErrMarshalling, serve: writing(create)},
	proto.OpCreate2:         {kind: "create", word: "CREA", write: true, nullPath: keeper.ErrMarshalling, serve: writing(create2)},
	proto.OpCreateContainer: {kind: "createContainer", word: "CREA", write: true, nullPath: keeper.ErrMarshalling, serve: writing(createContainer)},
	proto.OpCreateTTL:       {kind: "createTTL", word: "CREA", write: true, nullPath: keeper.ErrMarshalling, serve: serveCreateTTL},
	proto.OpDelete:          {kind: "delete", word: "DELE", write: true, nullPath: keeper.ErrMarshalling, serve: writing(remove)},
	proto.OpSetData:         {kind: "setData", word: "SETD", write: true, nullPath: keeper.ErrBadArguments, serve: writing(setData)},
	proto.OpSetACL:          {kind: "setACL", word: "SETA", write: true, nullPath: keeper.ErrBadArguments, serve: writing(setACL)},
	proto.OpMulti:           {kind: "multi", word: "MULT", write: true, serve: serveMulti},
	proto.OpReconfig:        {kind: "reconfig", word: "RECO", write: true, serve: refusing(keeper.ErrReconfigDisabled)},
	proto.OpDeleteContainer: {kind: "deleteContainer", word: "NA", write: true, serve: refusing(keeper.ErrBadArguments)},

	proto.OpExists:               {kind: "exists", word: "EXIS", nullPath: keeper.ErrMarshalling, serve: reading(exists)},
	proto.OpGetData:              {kind: "getData", word: "GETD", nullPath: keeper.ErrMarshalling, serve: reading(getData)},
	proto.OpGetACL:               {kind: "getACL", word: "GETA", nullPath: keeper.ErrMarshalling, serve: reading(getACL)},
	proto.OpGetChildren:          {kind: "getChildren", word: "GETC", nullPath: keeper.ErrMarshalling, serve: reading(getChildren)},
	proto.OpGetChildren2:         {kind: "getChildren", word: "GETC", nullPath: keeper.ErrMarshalling, serve: reading(getChildren2)},
	proto.OpGetAllChildrenNumber: {kind: "getAllChildrenNumber", word: "GETACN", nullPath: keeper.ErrMarshalling, serve: reading(countDescendants)},
	proto.OpGetEphemerals:        {kind: "getEphemerals", word: "GETE", serve: reading(getEphemerals)},
	proto.OpMultiRead:            {kind: "multiRead", word: "MLTR", serve: serveMultiRead},
	proto.OpSync:                 {kind: "sync", word: "SYNC", serve: reading(syncPath)},

	proto.OpSetWatches:    {kind: "setWatches", word: "SETW", serve: reading(setWatches)},
	proto.OpSetWatches2:   {kind: "setWatches", word: "STW2", serve: reading(setWatches2)},
	proto.OpAddWatch:      {kind: "addWatch", word: "ADDW", serve: reading(addWatch)},
	proto.OpCheckWatches:  {kind: "checkWatches", word: "CHKW", nullPath: keeper.ErrMarshalling, serve: reading(checkWatches)},
	proto.OpRemoveWatches: {kind: "removeWatches", word: "REMW", nullPath: keeper.ErrMarshalling, serve: reading(removeWatches)},

	proto.OpPing:         {kind: kindPing, word: "PING", serve: servePing},
	proto.OpAuth:         {kind: "auth", word: "AUTH", strict: true, serve: serveAuth},
	proto.OpSASL:         {kind: "sasl", word: "SASL", strict: true, serve: serveSASL},
	proto.OpWhoAmI:       {kind: "whoAmI", word: "HOMI", serve: serveWhoAmI},
	proto.OpCloseSession: {kind: "closeSession", word: "CLOS", write: true, serve: serveCloseSession},
}

// Kinds that Kind "" in a rule does not stand for.
const (
	kindPing    = "ping"
	kindConnect = "connect"
)

// writing serves a request by a transaction.
func writing[R proto.Record](f func(tx *txn, r R) (proto.Record, keeper.Code)) func(q *query) {
	return func(q *query) {
		q.transact(func(tx *txn) (proto.Record, keeper.Code) {
			return f(tx, record[R](q))
		})
	}
}

// reading serves a request that changes no node.
func reading[R proto.Record](f func(q *query, r R) (proto.Record, keeper.Code)) func(q *query) {
	return func(q *query) {
		q.answer(f(q, record[R](q)))
	}
}

// record is the body of the request. The table pairs opcodes and records as
// proto.DecodeRequest does; a test holds them together.
func record[R proto.Record](q *query) R {
	r, _ := q.rec.(R)
	return r
}

// refusing answers every request with the same code.
func refusing(code keeper.Code) func(q *query) {
	return func(q *query) { q.fail(code) }
}

// unknownOp answers a request that is not implemented, or that must not come
// from a client: the reply has no zxid, and the connection ends.
func unknownOp(q *query) {
	q.reply(-1, nil, keeper.ErrUnimplemented)
	q.s.finish(q.c)
}

// nullPath tells a body that starts with a null path where that is an error.
// Decoded, it looks like an empty one.
func nullPath(op opSpec, body []byte) bool {
	return op.nullPath != keeper.OK && len(body) >= 4 &&
		body[0] == 0xff && body[1] == 0xff && body[2] == 0xff && body[3] == 0xff
}

// targets are the paths a request names.
func targets(rec proto.Record) []string {
	switch r := rec.(type) {
	case *proto.CreateRequest:
		return []string{r.Path}
	case *proto.CreateTTLRequest:
		return []string{r.Path}
	case *proto.DeleteRequest:
		return []string{r.Path}
	case *proto.SetDataRequest:
		return []string{r.Path}
	case *proto.SetACLRequest:
		return []string{r.Path}
	case *proto.CheckVersionRequest:
		return []string{r.Path}
	case *proto.ExistsRequest:
		return []string{r.Path}
	case *proto.GetDataRequest:
		return []string{r.Path}
	case *proto.GetACLRequest:
		return []string{r.Path}
	case *proto.GetChildrenRequest:
		return []string{r.Path}
	case *proto.GetAllChildrenNumberRequest:
		return []string{r.Path}
	case *proto.GetEphemeralsRequest:
		return []string{r.PrefixPath}
	case *proto.SyncRequest:
		return []string{r.Path}
	case *proto.AddWatchRequest:
		return []string{r.Path}
	case *proto.CheckWatchesRequest:
		return []string{r.Path}
	case *proto.RemoveWatchesRequest:
		return []string{r.Path}
	case *proto.MultiRequest:
		var paths []string
		for _, op := range r.Ops {
			paths = append(paths, targets(op.Record)...)
		}
		return paths
	}
	return nil
}

// target is the first path a request names, or "".
func target(rec proto.Record) string {
	if paths := targets(rec); len(paths) > 0 {
		return paths[0]
	}
	return ""
}
