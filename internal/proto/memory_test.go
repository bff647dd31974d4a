package proto

import (
	"bytes"
	"math"
	"testing"

	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// The inputs that make the most of each byte: many items of the least size.
func TestMemoryIsBoundedByTheInput(t *testing.T) {
	const n = 100_000
	vector := func(item []byte) []byte { return append(jute.AppendCount(nil, n), bytes.Repeat(item, n)...) }
	multi := func(op OpCode, body int) []byte {
		h := MultiHeader{Type: op}
		return appendMultiEnd(bytes.Repeat(append(h.AppendTo(nil), make([]byte, body)...), n))
	}
	emptyACL := keeper.ACL{}
	aclItem := appendACL(nil, []keeper.ACL{emptyACL})[4:]
	for name, c := range map[string]struct {
		rec Record
		in  []byte
	}{
		"children":             {new(GetChildrenResponse), vector(make([]byte, 4))},
		"short children":       {new(GetChildrenResponse), vector([]byte{0, 0, 0, 2, 'a', 'b'})},
		"identities":           {new(WhoAmIResponse), vector(make([]byte, 8))},
		"short identities":     {new(WhoAmIResponse), vector([]byte{0, 0, 0, 2, 'i', 'p', 0, 0, 0, 2, 'a', 'b'})},
		"ACL":                  {new(GetACLResponse), append(vector(aclItem), make([]byte, statSize)...)},
		"watches":              {new(SetWatches), append(make([]byte, 8), bytes.Repeat(vector(make([]byte, 4)), 3)...)},
		"multi create":         {new(MultiRequest), multi(OpCreate, 16)},
		"multi container":      {new(MultiRequest), multi(OpCreateContainer, 16)},
		"multi TTL":            {new(MultiRequest), multi(OpCreateTTL, 24)},
		"multi delete":         {new(MultiRequest), multi(OpDelete, 8)},
		"multi set":            {new(MultiRequest), multi(OpSetData, 12)},
		"multi check":          {new(MultiRequest), multi(OpCheck, 8)},
		"multi get":            {new(MultiRequest), multi(OpGetData, 5)},
		"multi children":       {new(MultiRequest), multi(OpGetChildren, 5)},
		"multi reply delete":   {new(MultiResponse), multi(OpDelete, 0)},
		"multi reply create":   {new(MultiResponse), multi(OpCreate, 4)},
		"multi reply create2":  {new(MultiResponse), multi(OpCreate2, 4+statSize)},
		"multi reply set":      {new(MultiResponse), multi(OpSetData, statSize)},
		"multi reply error":    {new(MultiResponse), multi(OpError, 4)},
		"multiRead reply get":  {new(MultiReadResponse), multi(OpGetData, 4+statSize)},
		"multiRead reply list": {new(MultiReadResponse), multi(OpGetChildren, 4)},
		"multiRead reply err":  {new(MultiReadResponse), multi(OpError, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			requireBounded(t, len(c.in), func() {
				if err := c.rec.ReadFrom(c.in); err != nil {
					t.Error(err)
				}
			})
			// The same with its end cut off is found out late.
			requireBounded(t, len(c.in), func() {
				if err := c.rec.ReadFrom(c.in[:len(c.in)-1]); err == nil {
					t.Error("a truncated record was accepted")
				}
			})
		})
	}
}

// Counts and lengths that nothing backs cost nothing.
func TestHugeCountsCostNothing(t *testing.T) {
	for _, n := range []int32{math.MaxInt32, math.MinInt32, -2, 1 << 24} {
		length := jute.AppendInt32(nil, n)
		in := bytes.Repeat(length, 32)
		for i, rec := range samples() {
			t.Run(sampleName(i, rec), func(t *testing.T) {
				requireBounded(t, len(in), func() { _ = rec.ReadFrom(in) })
			})
		}
	}
}

// A reply to a multi costs no more than the ops it is decoded into.
func TestMultiReplyMemoryIsBoundedByTheRequest(t *testing.T) {
	h := MultiHeader{Type: OpDelete}
	body := appendMultiEnd(bytes.Repeat(h.AppendTo(nil), 100_000))
	m := &keeper.Multi{Ops: []keeper.Op{&keeper.Delete{Path: "/a"}}}
	var e Encoding
	requireBounded(t, 0, func() {
		if e.DecodeReply(m, ReplyHeader{Xid: 1}, body) == nil {
			t.Error("100000 results to one op were accepted")
		}
	})
}
