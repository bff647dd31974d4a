package proto

import "github.com/conclave-go/conclave/internal/jute"

// AuthPacket is the body of OpAuth, which is answered without a body.
type AuthPacket struct {
	Type   int32 // always 0
	Scheme string
	Auth   []byte
}

// AppendTo implements Record.
func (m *AuthPacket) AppendTo(b []byte) []byte {
	return jute.AppendBytes(jute.AppendString(jute.AppendInt32(b, m.Type), m.Scheme), m.Auth)
}

// ReadFrom implements Record.
func (m *AuthPacket) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Type, m.Scheme, m.Auth = r.Int32(), r.String(), r.Bytes()
	return finish(&r, "AuthPacket")
}

// String leaves the credentials out.
func (m AuthPacket) String() string { return "AuthPacket{" + m.Scheme + "}" }

// GoString is String: %#v must not show the credentials either.
func (m AuthPacket) GoString() string { return m.String() }

// GetSASLRequest is the body of OpSASL: one token of the client.
type GetSASLRequest struct {
	Token []byte
}

// AppendTo implements Record.
func (m *GetSASLRequest) AppendTo(b []byte) []byte { return jute.AppendBytes(b, m.Token) }

// ReadFrom implements Record.
func (m *GetSASLRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Token = r.Bytes()
	return finish(&r, "GetSASLRequest")
}

// String leaves the token out.
func (GetSASLRequest) String() string { return "GetSASLRequest{…}" }

// GoString is String: %#v must not show the token either.
func (m GetSASLRequest) GoString() string { return m.String() }

// SetSASLResponse answers OpSASL: one token of the server; nil from a server
// that does not know SASL.
type SetSASLResponse struct {
	Token []byte
}

// AppendTo implements Record.
func (m *SetSASLResponse) AppendTo(b []byte) []byte { return jute.AppendBytes(b, m.Token) }

// ReadFrom implements Record.
func (m *SetSASLResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Token = r.Bytes()
	return finish(&r, "SetSASLResponse")
}

// String leaves the token out.
func (SetSASLResponse) String() string { return "SetSASLResponse{…}" }

// GoString is String: %#v must not show the token either.
func (m SetSASLResponse) GoString() string { return m.String() }

// ClientInfo is one identity of a connection.
type ClientInfo struct {
	AuthScheme string
	User       string
}

// WhoAmIResponse answers OpWhoAmI, whose request has no body.
type WhoAmIResponse struct {
	ClientInfo []ClientInfo
}

// AppendTo implements Record.
func (m *WhoAmIResponse) AppendTo(b []byte) []byte {
	b = jute.AppendCount(b, len(m.ClientInfo))
	for i := range m.ClientInfo {
		b = jute.AppendString(jute.AppendString(b, m.ClientInfo[i].AuthScheme), m.ClientInfo[i].User)
	}
	return b
}

// ReadFrom implements Record.
func (m *WhoAmIResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.ClientInfo = nil
	if n := r.Count(8); r.Err() == nil && n >= 0 {
		m.ClientInfo = make([]ClientInfo, n)
		for i := range m.ClientInfo {
			m.ClientInfo[i] = ClientInfo{AuthScheme: r.String(), User: r.String()}
		}
	}
	return finish(&r, "WhoAmIResponse")
}

// ReconfigRequest is the body of OpReconfig, answered by a GetDataResponse.
type ReconfigRequest struct {
	JoiningServers string
	LeavingServers string
	NewMembers     string
	CurConfigID    int64
}

// AppendTo implements Record.
func (m *ReconfigRequest) AppendTo(b []byte) []byte {
	b = jute.AppendString(jute.AppendString(b, m.JoiningServers), m.LeavingServers)
	return jute.AppendInt64(jute.AppendString(b, m.NewMembers), m.CurConfigID)
}

// ReadFrom implements Record.
func (m *ReconfigRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.JoiningServers, m.LeavingServers, m.NewMembers = r.String(), r.String(), r.String()
	m.CurConfigID = r.Int64()
	return finish(&r, "ReconfigRequest")
}
