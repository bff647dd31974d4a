package jute

import "encoding/binary"

// AppendBool appends one byte, 1 or 0.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendInt32 appends four bytes.
func AppendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v))
}

// AppendInt64 appends eight bytes.
func AppendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v))
}

// AppendString appends the length in bytes and the bytes. A null string is
// never sent: servers refuse one where a value is meant.
func AppendString(b []byte, s string) []byte {
	return append(AppendInt32(b, length(len(s))), s...)
}

// AppendBytes appends the length and the bytes; nil is sent as null, which is
// not the same value as an empty buffer.
func AppendBytes(b, v []byte) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	return append(AppendInt32(b, length(len(v))), v...)
}

// AppendStrings appends the count and the strings. A nil slice is sent as an
// empty vector: servers answer a null one with an error.
func AppendStrings(b []byte, v []string) []byte {
	b = AppendCount(b, len(v))
	for _, s := range v {
		b = AppendString(b, s)
	}
	return b
}

// AppendCount appends the count that starts a vector.
func AppendCount(b []byte, n int) []byte { return AppendInt32(b, length(n)) }

// length relies on the frame limit: nothing of 2 GiB gets as far as a frame.
func length(n int) int32 { return int32(n) }
