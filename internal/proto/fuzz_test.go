package proto

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/jute"
)

// fuzzRecord fuzzes one decoder: it must not panic, must keep its memory within
// the bound, and must reach a fixpoint by decoding what it encodes. The seeds
// are the samples of the type, and each of them with every word in turn
// replaced by the lengths that break decoders.
func fuzzRecord[T any, P interface {
	*T
	Record
}](f *testing.F) {
	f.Helper()
	for _, rec := range samples() {
		if _, ok := rec.(P); !ok {
			continue
		}
		b := rec.AppendTo(nil)
		f.Add(b)
		for at := 0; at+4 <= len(b); at += 4 {
			for _, n := range []int32{-1, -2, 1<<31 - 1} {
				bad := bytes.Clone(b)
				copy(bad[at:], jute.AppendInt32(nil, n))
				f.Add(bad)
			}
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		var one, two T
		var err error
		requireBounded(t, len(in), func() {
			one = *new(T)
			err = P(&one).ReadFrom(in)
		})
		require.Equal(t, before, in, "decoding must leave its input alone")
		if err != nil {
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			return
		}
		b := P(&one).AppendTo(nil)
		require.NoError(t, P(&two).ReadFrom(b))
		require.Equal(t, b, P(&two).AppendTo(nil))
	})
}

func FuzzRequestHeader(f *testing.F)        { fuzzRecord[RequestHeader](f) }
func FuzzReplyHeader(f *testing.F)          { fuzzRecord[ReplyHeader](f) }
func FuzzWatcherEvent(f *testing.F)         { fuzzRecord[WatcherEvent](f) }
func FuzzErrorResponse(f *testing.F)        { fuzzRecord[ErrorResponse](f) }
func FuzzConnectRequest(f *testing.F)       { fuzzRecord[ConnectRequest](f) }
func FuzzConnectResponse(f *testing.F)      { fuzzRecord[ConnectResponse](f) }
func FuzzCreateRequest(f *testing.F)        { fuzzRecord[CreateRequest](f) }
func FuzzCreateTTLRequest(f *testing.F)     { fuzzRecord[CreateTTLRequest](f) }
func FuzzCreateResponse(f *testing.F)       { fuzzRecord[CreateResponse](f) }
func FuzzCreate2Response(f *testing.F)      { fuzzRecord[Create2Response](f) }
func FuzzDeleteRequest(f *testing.F)        { fuzzRecord[DeleteRequest](f) }
func FuzzCheckVersionRequest(f *testing.F)  { fuzzRecord[CheckVersionRequest](f) }
func FuzzExistsRequest(f *testing.F)        { fuzzRecord[ExistsRequest](f) }
func FuzzExistsResponse(f *testing.F)       { fuzzRecord[ExistsResponse](f) }
func FuzzGetDataRequest(f *testing.F)       { fuzzRecord[GetDataRequest](f) }
func FuzzGetDataResponse(f *testing.F)      { fuzzRecord[GetDataResponse](f) }
func FuzzSetDataRequest(f *testing.F)       { fuzzRecord[SetDataRequest](f) }
func FuzzSetDataResponse(f *testing.F)      { fuzzRecord[SetDataResponse](f) }
func FuzzSyncRequest(f *testing.F)          { fuzzRecord[SyncRequest](f) }
func FuzzSyncResponse(f *testing.F)         { fuzzRecord[SyncResponse](f) }
func FuzzGetChildrenRequest(f *testing.F)   { fuzzRecord[GetChildrenRequest](f) }
func FuzzGetChildrenResponse(f *testing.F)  { fuzzRecord[GetChildrenResponse](f) }
func FuzzGetChildren2Response(f *testing.F) { fuzzRecord[GetChildren2Response](f) }
func FuzzGetEphemeralsRequest(f *testing.F) { fuzzRecord[GetEphemeralsRequest](f) }
func FuzzGetEphemeralsResponse(f *testing.F) {
	fuzzRecord[GetEphemeralsResponse](f)
}
func FuzzGetAllChildrenNumberRequest(f *testing.F) {
	fuzzRecord[GetAllChildrenNumberRequest](f)
}
func FuzzGetAllChildrenNumberResponse(f *testing.F) {
	fuzzRecord[GetAllChildrenNumberResponse](f)
}
func FuzzGetACLRequest(f *testing.F)        { fuzzRecord[GetACLRequest](f) }
func FuzzGetACLResponse(f *testing.F)       { fuzzRecord[GetACLResponse](f) }
func FuzzSetACLRequest(f *testing.F)        { fuzzRecord[SetACLRequest](f) }
func FuzzSetACLResponse(f *testing.F)       { fuzzRecord[SetACLResponse](f) }
func FuzzAuthPacket(f *testing.F)           { fuzzRecord[AuthPacket](f) }
func FuzzGetSASLRequest(f *testing.F)       { fuzzRecord[GetSASLRequest](f) }
func FuzzSetSASLResponse(f *testing.F)      { fuzzRecord[SetSASLResponse](f) }
func FuzzWhoAmIResponse(f *testing.F)       { fuzzRecord[WhoAmIResponse](f) }
func FuzzReconfigRequest(f *testing.F)      { fuzzRecord[ReconfigRequest](f) }
func FuzzSetWatches(f *testing.F)           { fuzzRecord[SetWatches](f) }
func FuzzSetWatches2(f *testing.F)          { fuzzRecord[SetWatches2](f) }
func FuzzAddWatchRequest(f *testing.F)      { fuzzRecord[AddWatchRequest](f) }
func FuzzCheckWatchesRequest(f *testing.F)  { fuzzRecord[CheckWatchesRequest](f) }
func FuzzRemoveWatchesRequest(f *testing.F) { fuzzRecord[RemoveWatchesRequest](f) }
func FuzzMultiHeader(f *testing.F)          { fuzzRecord[MultiHeader](f) }
func FuzzMultiRequest(f *testing.F)         { fuzzRecord[MultiRequest](f) }
func FuzzMultiResponse(f *testing.F)        { fuzzRecord[MultiResponse](f) }
func FuzzMultiReadResponse(f *testing.F)    { fuzzRecord[MultiReadResponse](f) }

// FuzzDecodeRequest is the server's door: any opcode, any body.
func FuzzDecodeRequest(f *testing.F) {
	for op := OpCode(-20); op < 200; op++ {
		for _, rec := range samples() {
			if want := newRequest(op); want != nil && sameType(rec, want) {
				f.Add(int32(op), rec.AppendTo(nil))
			}
		}
	}
	f.Add(int32(999), []byte{})
	f.Fuzz(func(t *testing.T, op int32, body []byte) {
		rec, err := DecodeRequest(OpCode(op), body)
		if rec == nil || err != nil {
			return
		}
		b := rec.AppendTo(nil)
		again, err := DecodeRequest(OpCode(op), b)
		require.NoError(t, err)
		require.Equal(t, b, again.AppendTo(nil))
	})
}

func sameType(a, b Record) bool { return sampleName(0, a) == sampleName(0, b) }

// chunked hands out a stream in pieces whose sizes the fuzzer chooses.
type chunked struct {
	data, sizes []byte
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.data))
	if len(c.sizes) > 0 {
		n = min(n, int(c.sizes[0])+1)
		c.sizes = c.sizes[1:]
	}
	copy(p, c.data[:n])
	c.data = c.data[n:]
	return n, nil
}

// FuzzFrameReader compares the reader with a plain cut of the stream, however
// the stream comes in.
func FuzzFrameReader(f *testing.F) {
	f.Add([]byte(raw("one")+raw("")+raw("three")), []byte{0, 1, 2, 3, 0, 0})
	f.Add([]byte(raw("0123456789abcdef-oversized-frame-of-a-reply")+raw("next")), []byte{15, 0, 200})
	f.Add([]byte(raw("12345678901")+announced(-1)+raw("x")), []byte{})
	f.Add([]byte(announced(-2)), []byte{})
	f.Add([]byte(announced(1<<31-1)+"x"), []byte{3})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		const limit = 24
		f := NewFrameReader(&chunked{bytes.Clone(stream), sizes}, limit)
		rest := stream
		for {
			got, err := f.Next()
			if len(rest) < 4 {
				want := io.ErrUnexpectedEOF
				if len(rest) == 0 {
					want = io.EOF
				}
				require.Equal(t, want, err)
				return
			}
			r := jute.Reader{Src: rest}
			n := int(r.Int32())
			rest = rest[4:]
			var bad *FrameError
			switch {
			case n < 0:
				require.ErrorAs(t, err, &bad)
				require.False(t, bad.Oversize())
				return
			case n > limit:
				require.ErrorAs(t, err, &bad)
				require.True(t, bad.Oversize())
				requireOversizeHeader(t, f, rest)
				rest = rest[min(n, len(rest)):]
				if len(rest) == 0 { // nothing follows, or the frame is not whole
					_, err = f.Next()
					require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
					return
				}
			case n > len(rest):
				require.Equal(t, io.ErrUnexpectedEOF, err)
				return
			default:
				require.NoError(t, err)
				require.Equal(t, string(rest[:n]), string(got))
				rest = rest[n:]
			}
		}
	})
}

func requireOversizeHeader(t *testing.T, f *FrameReader, rest []byte) {
	t.Helper()
	h, err := f.OversizeHeader()
	if len(rest) < ReplyHeaderSize {
		require.Equal(t, io.ErrUnexpectedEOF, err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, rest[:ReplyHeaderSize], h.AppendTo(nil))
}
