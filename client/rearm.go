package client

import (
	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// maxRearm bounds the paths of one SetWatches, so that the frame stays far below
// what servers take.
const maxRearm = 128 << 10

// rearm makes the calls that set every watch of the session again on a new
// connection. since is the last zxid seen before it: the server sends what
// was missed after that at once.
func (s *session) rearm(since int64, onReply func(keys []watchKey, h proto.ReplyHeader) error) []*call {
	var calls []*call
	var keys []watchKey
	// Lists must not be null, not even empty ones.
	empty := func() *proto.SetWatches {
		return &proto.SetWatches{RelativeZxid: since, DataWatches: []string{}, ExistWatches: []string{}, ChildWatches: []string{}}
	}
	body, size := empty(), 0
	flush := func() {
		chunk := keys
		calls = append(calls, newInternal(callRearm, proto.XidSetWatches, proto.OpSetWatches, body,
			func(h proto.ReplyHeader) error { return onReply(chunk, h) }))
		body, size, keys = empty(), 0, nil
	}
	for _, key := range s.watches.keys() {
		path := s.c.enc.FullPath(key.path)
		if len(keys) > 0 && size+len(path)+4 > maxRearm {
			flush()
		}
		size += len(path) + 4
		keys = append(keys, key)
		switch key.kind {
		case keeper.WatchData:
			body.DataWatches = append(body.DataWatches, path)
		case keeper.WatchExist:
			body.ExistWatches = append(body.ExistWatches, path)
		case keeper.WatchChildren:
			body.ChildWatches = append(body.ChildWatches, path)
		}
	}
	if len(keys) > 0 {
		flush()
	}
	return calls
}

func (t *watchTable) keys() []watchKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]watchKey, 0, len(t.handles))
	for key := range t.handles {
		keys = append(keys, key)
	}
	return keys
}

// loseWatches ends the watches that the server would not set again.
func (s *session) loseWatches(keys []watchKey, code keeper.Code) {
	for _, key := range keys {
		s.watches.finish(key, keeper.Event{
			Type: keeper.EventNotWatching, Path: key.path, Zxid: -1,
			Err: &keeper.OpError{Op: "set watch again", Path: key.path, Err: code, Outcome: keeper.NotApplied},
		})
	}
}
