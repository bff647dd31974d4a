// Package jute encodes and decodes the primitives of ZooKeeper's wire format:
// big-endian integers, booleans of one byte, and strings, buffers and vectors
// that carry a length of four bytes, where -1 stands for null.
//
// Encoders append to a slice and never fail. The decoder is a [Reader]: it
// remembers its first error, returns zero values from then on, and is asked
// once, at the end. It allocates nothing on the word of a length that the input
// has not backed with bytes.
package jute
