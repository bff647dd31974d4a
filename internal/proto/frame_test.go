package proto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// raw is a frame with this content.
func raw(content string) string {
	b, mark := BeginFrame(nil)
	return string(EndFrame(append(b, content...), mark))
}

// announced is the length of a frame without the frame.
func announced(n int32) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(n)))
}

func TestBeginAndEndFrame(t *testing.T) {
	b, mark := BeginFrame([]byte("before"))
	b = EndFrame(append(b, "abc"...), mark)
	b, mark = BeginFrame(b)
	b = EndFrame(b, mark)
	require.Equal(t, "before\x00\x00\x00\x03abc\x00\x00\x00\x00", string(b))
}

func TestFrameReaderReadsFrames(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 3*frameChunk/16) + "tail"
	stream := raw("one") + raw("") + raw(big) + raw("four")
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"halves":        iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
		"buffered":      func(r io.Reader) io.Reader { return bufio.NewReader(r) },
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFrameReader(wrap(strings.NewReader(stream)), 0)
			for _, want := range []string{"one", "", big, "four"} {
				got, err := f.Next()
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
			for range 2 {
				_, err := f.Next()
				require.Equal(t, io.EOF, err)
			}
		})
	}
}

func TestFrameReaderStopsInsideAFrame(t *testing.T) {
	whole := raw("a frame") + raw(strings.Repeat("x", 40))
	for n := range whole {
		f := NewFrameReader(strings.NewReader(whole[:n]), 20)
		want, frames := io.ErrUnexpectedEOF, 0
		var err error
		for err == nil {
			if _, err = f.Next(); err == nil {
				frames++
			}
			if oversize := (*FrameError)(nil); errors.As(err, &oversize) {
				_, err = f.OversizeHeader()
			}
		}
		if n == 0 || n == len(raw("a frame")) {
			want = io.EOF
		}
		require.Equal(t, want, err, "%d bytes", n)
		_, again := f.Next()
		require.Equal(t, err, again, "the stream is of no more use")
		require.Equal(t, err, f.Skip())
		_, again = f.OversizeHeader()
		require.Equal(t, err, again)
	}
}

func TestFrameReaderPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, have := range []string{"", "\x00", raw("abc")[:5]} {
		f := NewFrameReader(io.MultiReader(strings.NewReader(have), iotest.ErrReader(broken)), 0)
		_, err := f.Next()
		require.ErrorIs(t, err, broken)
		_, err = f.Next()
		require.ErrorIs(t, err, broken)
	}
}

func TestFrameReaderRefusesNegativeLengths(t *testing.T) {
	for _, n := range []int32{-1, -2, math.MinInt32} {
		f := NewFrameReader(strings.NewReader(announced(n)+raw("after")), 100)
		for range 2 { // and stays at it: there is no telling where a frame begins
			_, err := f.Next()
			var bad *FrameError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, FrameError{Length: int(n), Max: 100}, *bad)
			require.False(t, bad.Oversize())
		}
	}
	require.Equal(t, "frame of negative length -1", (&FrameError{Length: -1, Max: 5}).Error())
	require.Equal(t, "frame of 6 bytes, the limit is 5", (&FrameError{Length: 6, Max: 5}).Error())
}

func TestFrameReaderLimit(t *testing.T) {
	f := NewFrameReader(strings.NewReader(raw(strings.Repeat("x", 20))), 20)
	got, err := f.Next()
	require.NoError(t, err)
	require.Len(t, got, 20)

	f = NewFrameReader(strings.NewReader(announced(DefaultMaxFrame+1)), -1)
	_, err = f.Next()
	var bad *FrameError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, FrameError{Length: DefaultMaxFrame + 1, Max: DefaultMaxFrame}, *bad)
}

// An oversized reply is told whose it is and passed over; the stream goes on.
func TestFrameReaderPassesOverOversizedReplies(t *testing.T) {
	h := ReplyHeader{Xid: 7, Zxid: 9, Err: keeper.OK}
	long := string(h.AppendTo(nil)) + strings.Repeat("x", 3*frameChunk)
	stream := raw(long) + raw("small") + raw(long) + raw("last")

	for name, look := range map[string]bool{"after its header": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			f := NewFrameReader(iotest.HalfReader(strings.NewReader(stream)), 32)
			for _, after := range []string{"small", "last"} {
				_, err := f.Next()
				var bad *FrameError
				require.ErrorAs(t, err, &bad)
				require.True(t, bad.Oversize())
				require.Equal(t, len(long), bad.Length)
				if look {
					got, err := f.OversizeHeader()
					require.NoError(t, err)
					require.Equal(t, h, got)
					_, err = f.OversizeHeader()
					require.Error(t, err, "what follows is no header")
				}
				got, err := f.Next()
				require.NoError(t, err)
				require.Equal(t, after, string(got))
			}
			_, err := f.OversizeHeader()
			require.ErrorIs(t, err, errNoHeader)
			require.NoError(t, f.Skip())
		})
	}
}

func TestFrameReaderOversizeTooShortForAHeader(t *testing.T) {
	f := NewFrameReader(strings.NewReader(raw("0123456789")+raw("ok")), 4)
	_, err := f.Next()
	require.Error(t, err)
	_, err = f.OversizeHeader()
	require.ErrorIs(t, err, errNoHeader)
	got, err := f.Next()
	require.NoError(t, err)
	require.Equal(t, "ok", string(got))
}

// The header of an oversized reply is to be had before the rest has come.
func TestFrameReaderHeaderOfAReplyStillOnItsWay(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	h := ReplyHeader{Xid: 3, Zxid: 4, Err: keeper.OK}
	wrote := make(chan error, 1)
	go func() {
		_, err := server.Write(h.AppendTo([]byte(announced(1 << 20))))
		wrote <- err
	}()
	f := NewFrameReader(client, 1024)
	_, err := f.Next()
	require.Error(t, err)
	got, err := f.OversizeHeader()
	require.NoError(t, err)
	require.Equal(t, h, got)
	require.NoError(t, <-wrote)
}

func TestFrameReaderTrustsBytesNotLengths(t *testing.T) {
	const limit = 1 << 30
	for _, arrived := range []int{0, 1, frameChunk - 1, frameChunk, frameChunk + 1, 5*frameChunk + 7} {
		stream := []byte(announced(limit) + strings.Repeat("x", arrived))
		requireBounded(t, arrived, func() {
			_, err := NewFrameReader(bytes.NewReader(stream), limit).Next()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}

	// A refused frame is not kept at all.
	stream := []byte(raw(strings.Repeat("x", 8<<20)))
	require.Less(t, allocated(0, func() {
		f := NewFrameReader(bytes.NewReader(stream), 1024)
		_, err := f.Next()
		require.Error(t, err)
		_, err = f.Next()
		require.Equal(t, io.EOF, err)
	}), uint64(64<<10))
}

func TestFrameReaderReusesItsBuffer(t *testing.T) {
	one := raw(strings.Repeat("x", 1000))
	r := strings.NewReader("")
	f := NewFrameReader(r, 0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		r.Reset(one)
		if got, err := f.Next(); err != nil || len(got) != 1000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}))

	f = NewFrameReader(strings.NewReader(raw(strings.Repeat("x", frameKeep+1))+raw("small")), 0)
	_, err := f.Next()
	require.NoError(t, err)
	require.Greater(t, cap(f.buf), frameKeep)
	_, err = f.Next()
	require.NoError(t, err)
	require.LessOrEqual(t, cap(f.buf), frameKeep, "one large frame must not pin its buffer for ever")
}
