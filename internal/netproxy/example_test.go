package netproxy_test

import (
	"fmt"
	"net"

	"github.com/conclave-go/conclave/internal/netproxy"
)

func Example() {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	p, err := netproxy.New(server.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	client, err := net.Dial("tcp4", p.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if _, err := server.Accept(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("connections cut:", p.Cut())
	// Output: connections cut: 1
}
