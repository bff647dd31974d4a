// Package proto holds every record of the ZooKeeper protocol, for both
// directions, so that client and server share one codec.
//
// A message is a frame: four bytes of length and then that many bytes. See
// [FrameReader], [BeginFrame] and [EndFrame]. Within a connection, the first
// frame of each side is a [ConnectRequest] or [ConnectResponse]; after them come
// a [RequestHeader] or [ReplyHeader] and a record that the opcode tells.
//
// Records implement [Record]. Decoding copies: a decoded record owns its memory
// and the frame it came from may be reused. Bytes after a record are ignored, as
// real peers do. Decoders refuse lengths that the input does not back; what one
// allocates is at most four times the input and a constant.
//
// [Encoding] maps the requests of package keeper to records and back.
package proto
