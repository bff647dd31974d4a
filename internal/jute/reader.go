package jute

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Reader decodes Src from its start. It is sticky: after the first error every
// method returns a zero value, and Err tells the error. What it returns never
// points into Src, except what View returns. The zero Reader reads nothing.
//
// A Reader belongs to one goroutine.
type Reader struct {
	Src []byte

	pos int
	err error
}

// Error says where and why Src is malformed. It holds no content.
type Error struct {
	At  int // offset in Src of the item
	Why string
}

// Error reads "malformed at byte 12: string of length -2".
func (e *Error) Error() string { return fmt.Sprintf("malformed at byte %d: %s", e.At, e.Why) }

// Err is the first error, an *Error, or nil.
func (r *Reader) Err() error { return r.err }

// Len is the number of bytes not read yet; 0 after an error.
func (r *Reader) Len() int {
	if r.err != nil {
		return 0
	}
	return len(r.Src) - r.pos
}

// Fail makes the reader fail, as if the input had: for values that are well
// formed and yet wrong. An earlier error stands.
func (r *Reader) Fail(why string) { r.fail(r.pos, why) }

func (r *Reader) fail(at int, why string) {
	if r.err == nil {
		r.err = &Error{At: at, Why: why}
	}
}

// Skip passes over n bytes.
func (r *Reader) Skip(n int) { r.take(n) }

// take returns the next n bytes of Src, or nil and an error set.
func (r *Reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if left := len(r.Src) - r.pos; n < 0 || n > left {
		r.fail(r.pos, fmt.Sprintf("%d bytes wanted, %d left", n, left))
		return nil
	}
	b := r.Src[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

// Bool reads one byte; like servers, it takes everything but 0 as true.
func (r *Reader) Bool() bool {
	b := r.take(1)
	return len(b) == 1 && b[0] != 0
}

// Int32 reads four bytes.
func (r *Reader) Int32() int32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

// Int64 reads eight bytes.
func (r *Reader) Int64() int64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

// View reads a buffer without copying it: the result is part of Src and lives
// as long as Src is not overwritten. null is nil, and an empty buffer is not.
func (r *Reader) View() []byte {
	at := r.pos // on its own line: a call beside it might be evaluated first
	n := int(r.Int32())
	switch {
	case r.err != nil || n == -1:
		return nil
	case n < 0 || n > len(r.Src)-r.pos:
		r.fail(at, fmt.Sprintf("length %d, %d bytes left", n, len(r.Src)-r.pos))
		return nil
	}
	return r.take(n)
}

// Bytes reads a buffer and returns a copy of it. null is nil, and an empty
// buffer is not.
func (r *Reader) Bytes() []byte {
	v := r.View()
	if v == nil {
		return nil
	}
	c := make([]byte, len(v))
	copy(c, v)
	return c
}

// String reads a string, which must be valid UTF-8. null is "".
func (r *Reader) String() string { return string(r.text()) }

// text reads a string without copying it.
func (r *Reader) text() []byte {
	at := r.pos
	v := r.View()
	if !utf8.Valid(v) {
		r.fail(at, "string is not valid UTF-8")
		return nil
	}
	return v
}

// Count reads the count that starts a vector whose items take at least
// minItemSize bytes each, and fails when that many cannot follow. A null vector
// has the count -1.
func (r *Reader) Count(minItemSize int) int {
	at := r.pos
	n := int(r.Int32())
	if r.err != nil || n == -1 {
		return min(n, 0)
	}
	if n < 0 || n > (len(r.Src)-r.pos)/minItemSize {
		r.fail(at, fmt.Sprintf("vector of %d items, %d bytes left", n, len(r.Src)-r.pos))
		return 0
	}
	return n
}

// Strings reads a vector of strings. A null vector is nil, and an empty one is
// not. The strings share one allocation: keeping one of them keeps them all, so
// clone what outlives the rest.
func (r *Reader) Strings() []string {
	n := r.Count(4)
	if r.err != nil || n < 0 {
		return nil
	}
	// A first pass adds up the lengths and finds every error, so that the
	// second one allocates exactly what is needed.
	start, total := r.pos, 0
	for range n {
		total += len(r.text())
	}
	if r.err != nil {
		return nil
	}
	r.pos = start
	var all strings.Builder
	all.Grow(total)
	for range n {
		all.Write(r.View())
	}
	r.pos = start
	list, rest := make([]string, n), all.String()
	for i := range list {
		size := len(r.View())
		list[i], rest = rest[:size], rest[size:]
	}
	return list
}
