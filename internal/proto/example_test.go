package proto_test

import (
	"bytes"
	"fmt"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// One request and its reply, as client and server see them.
func Example() {
	e := &proto.Encoding{Chroot: "/app"}

	// The client encodes a request into a frame.
	get := &keeper.Get{Path: "/config"}
	frame, mark := proto.BeginFrame(nil)
	frame, err := e.AppendRequest(frame, 1, get)
	if err != nil {
		fmt.Println(err)
		return
	}
	frame = proto.EndFrame(frame, mark)

	// The server decodes it and answers.
	body, err := proto.NewFrameReader(bytes.NewReader(frame), 0).Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	var h proto.RequestHeader
	if err := h.ReadFrom(body); err != nil {
		fmt.Println(err)
		return
	}
	rec, err := proto.DecodeRequest(h.Op, body[proto.RequestHeaderSize:])
	if asked, ok := rec.(*proto.GetDataRequest); ok {
		fmt.Println(h.Xid, h.Op, asked.Path, err)
	}
	reply := &proto.GetDataResponse{Data: []byte("on"), Stat: keeper.Stat{Czxid: 7}}

	// The client decodes the reply into the request.
	err = e.DecodeReply(get, proto.ReplyHeader{Xid: 1, Zxid: 9}, reply.AppendTo(nil))
	fmt.Println(string(get.Data), get.Stat.Czxid, get.Zxid, err)
	// Output:
	// 1 getData /app/config <nil>
	// on 7 9 <nil>
}
