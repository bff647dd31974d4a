package proto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// DefaultMaxFrame is the limit of a FrameReader that is given none.
const DefaultMaxFrame = 4 << 20

const (
	// frameChunk is how much memory a length alone is trusted with.
	frameChunk = 32 << 10
	// frameKeep is the largest buffer that is kept for frames to come.
	frameKeep = 256 << 10
)

// BeginFrame leaves room for the length of a frame. mark is for EndFrame.
func BeginFrame(b []byte) (_ []byte, mark int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// EndFrame writes the length of everything appended since BeginFrame.
func EndFrame(b []byte, mark int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	return b
}

var errNoHeader = errors.New("no oversized frame to read a header from")

// FrameError is a length that cannot be accepted: negative, or over the limit.
type FrameError struct {
	Length int
	Max    int
}

// Error reads "frame of 5242880 bytes, the limit is 4194304".
func (e *FrameError) Error() string {
	if e.Length < 0 {
		return fmt.Sprintf("frame of negative length %d", e.Length)
	}
	return fmt.Sprintf("frame of %d bytes, the limit is %d", e.Length, e.Max)
}

// Oversize tells whether the frame is whole, only too long, so that the stream
// can go on behind it.
func (e *FrameError) Oversize() bool { return e.Length > e.Max }

// FrameReader reads frames. It belongs to one goroutine.
type FrameReader struct {
	r   io.Reader
	max int
	buf []byte
	// word is for lengths; a field, because what is handed to an io.Reader
	// would be allocated anew each time.
	word [4]byte

	rest  int   // bytes left of an oversized frame
	fresh bool  // nothing of it has been read
	err   error // the stream is at its end or out of step: Next goes on returning it
}

// NewFrameReader reads from r frames of at most limit bytes, not counting their
// length; DefaultMaxFrame if limit is not positive. It reads no further than the
// frame it is asked for, in two reads of r or more: give it a *bufio.Reader.
func NewFrameReader(r io.Reader, limit int) *FrameReader {
	if limit <= 0 {
		limit = DefaultMaxFrame
	}
	return &FrameReader{r: r, max: limit}
}

// Next returns the content of the next frame, which may be empty. It is valid
// until the next call. Memory grows with the bytes that arrive, not with the
// length that was announced.
//
// At the end of the stream it returns io.EOF, and io.ErrUnexpectedEOF in the
// middle of a frame. A length that is refused gives a *FrameError. After one
// that is Oversize, OversizeHeader tells whose reply it is, and the following
// Next passes over the frame first. After any other error the stream is of no
// more use.
func (f *FrameReader) Next() ([]byte, error) {
	if err := f.Skip(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(f.r, f.word[:]); err != nil {
		return nil, f.fail(err)
	}
	n := int(int32(binary.BigEndian.Uint32(f.word[:])))
	switch {
	case n < 0:
		return nil, f.fail(&FrameError{Length: n, Max: f.max})
	case n > f.max:
		f.rest, f.fresh = n, true
		return nil, &FrameError{Length: n, Max: f.max}
	}
	return f.read(n)
}

// OversizeHeader reads the header of the oversized reply that Next has just
// refused. It can be read once per refused frame, before the next Next.
func (f *FrameReader) OversizeHeader() (ReplyHeader, error) {
	var h ReplyHeader
	switch {
	case f.err != nil:
		return h, f.err
	case !f.fresh || f.rest < ReplyHeaderSize:
		return h, errNoHeader
	}
	b, err := f.read(ReplyHeaderSize)
	if err != nil {
		return h, err
	}
	f.rest, f.fresh = f.rest-ReplyHeaderSize, false
	err = h.ReadFrom(b) // before h is copied out
	return h, err
}

// Skip passes over what is left of an oversized frame without keeping it, and
// does nothing if there is none. Next calls it.
func (f *FrameReader) Skip() error {
	if f.err != nil || f.rest == 0 {
		return f.err
	}
	n, err := io.CopyN(io.Discard, f.r, int64(f.rest))
	f.rest -= int(n)
	if err != nil {
		return f.fail(midFrame(err))
	}
	return nil
}

// read reads n bytes into the buffer.
func (f *FrameReader) read(n int) ([]byte, error) {
	if cap(f.buf) > frameKeep && n <= frameKeep {
		f.buf = nil
	}
	f.buf = f.buf[:0]
	for len(f.buf) < n {
		have := len(f.buf)
		if have == cap(f.buf) {
			// Twice what has arrived keeps the copying linear.
			f.buf = append(make([]byte, 0, min(n, max(frameChunk, 2*have))), f.buf...)
		}
		end := min(n, cap(f.buf), have+frameChunk)
		got, err := io.ReadFull(f.r, f.buf[have:end])
		f.buf = f.buf[:have+got]
		if err != nil {
			return nil, f.fail(midFrame(err))
		}
	}
	return f.buf, nil
}

func (f *FrameReader) fail(err error) error {
	f.err = err
	return err
}

// midFrame makes the end of the stream inside a frame an unexpected one.
func midFrame(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
