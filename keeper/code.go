package keeper

import "fmt"

// Code is an error number of the ZooKeeper protocol. It is an error itself, so
// errors.Is(err, keeper.ErrNoNode) holds for whatever wraps it. A number that
// is not named here is kept as it came.
type Code int32 //nolint:errname // the name users read: keeper.Code

// Codes of the protocol. All are made by servers, except ErrConnectionLoss,
// ErrOperationTimeout and ErrRequestTimeout, which only a client makes; a
// client also reports ErrSessionExpired and ErrAuthFailed for a session that
// ended that way.
const (
	OK                         Code = 0
	ErrSystem                  Code = -1
	ErrRuntimeInconsistency    Code = -2 // in a Multi: another op failed
	ErrDataInconsistency       Code = -3
	ErrConnectionLoss          Code = -4
	ErrMarshalling             Code = -5
	ErrUnimplemented           Code = -6
	ErrOperationTimeout        Code = -7
	ErrBadArguments            Code = -8
	ErrInvalidState            Code = -9
	ErrUnknownSession          Code = -12
	ErrNewConfigNoQuorum       Code = -13
	ErrReconfigInProgress      Code = -14
	ErrAPI                     Code = -100
	ErrNoNode                  Code = -101
	ErrNoAuth                  Code = -102
	ErrBadVersion              Code = -103
	ErrNoChildrenForEphemerals Code = -108
	ErrNodeExists              Code = -110
	ErrNotEmpty                Code = -111
	ErrSessionExpired          Code = -112
	ErrInvalidCallback         Code = -113
	ErrInvalidACL              Code = -114
	ErrAuthFailed              Code = -115
	ErrClosing                 Code = -116
	ErrNothing                 Code = -117
	ErrSessionMoved            Code = -118
	ErrNotReadOnly             Code = -119
	ErrEphemeralOnLocalSession Code = -120
	ErrNoWatcher               Code = -121
	ErrRequestTimeout          Code = -122
	ErrReconfigDisabled        Code = -123
	ErrSASLRequired            Code = -124
	ErrQuotaExceeded           Code = -125
	ErrThrottled               Code = -127
)

// codeNames is the table behind String and ParseCode.
//
//nolint:gochecknoglobals // a table that never changes
var codeNames = [...]struct {
	code Code
	name string
	text string
}{
	{OK, "OK", "ok"},
	{ErrSystem, "SYSTEMERROR", "system error"},
	{ErrRuntimeInconsistency, "RUNTIMEINCONSISTENCY", "not reached: another op of the multi failed"},
	{ErrDataInconsistency, "DATAINCONSISTENCY", "data inconsistency"},
	{ErrConnectionLoss, "CONNECTIONLOSS", "connection lost"},
	{ErrMarshalling, "MARSHALLINGERROR", "the server could not decode the request"},
	{ErrUnimplemented, "UNIMPLEMENTED", "not implemented by this server"},
	{ErrOperationTimeout, "OPERATIONTIMEOUT", "operation timed out"},
	{ErrBadArguments, "BADARGUMENTS", "bad arguments"},
	{ErrInvalidState, "INVALIDSTATE", "invalid state"},
	{ErrUnknownSession, "UNKNOWNSESSION", "unknown session"},
	{ErrNewConfigNoQuorum, "NEWCONFIGNOQUORUM", "no quorum of the new configuration is connected"},
	{ErrReconfigInProgress, "RECONFIGINPROGRESS", "another reconfiguration is in progress"},
	{ErrAPI, "APIERROR", "API error"},
	{ErrNoNode, "NONODE", "node does not exist"},
	{ErrNoAuth, "NOAUTH", "not authorized"},
	{ErrBadVersion, "BADVERSION", "version conflict"},
	{ErrNoChildrenForEphemerals, "NOCHILDRENFOREPHEMERALS", "ephemeral nodes have no children"},
	{ErrNodeExists, "NODEEXISTS", "node exists"},
	{ErrNotEmpty, "NOTEMPTY", "node has children"},
	{ErrSessionExpired, "SESSIONEXPIRED", "session expired"},
	{ErrInvalidCallback, "INVALIDCALLBACK", "invalid callback"},
	{ErrInvalidACL, "INVALIDACL", "invalid ACL"},
	{ErrAuthFailed, "AUTHFAILED", "authentication failed"},
	{ErrClosing, "CLOSING", "closing"},
	{ErrNothing, "NOTHING", "nothing to process"},
	{ErrSessionMoved, "SESSIONMOVED", "session moved to another server"},
	{ErrNotReadOnly, "NOTREADONLY", "the server is read-only"},
	{ErrEphemeralOnLocalSession, "EPHEMERALONLOCALSESSION", "a local session has no ephemeral nodes"},
	{ErrNoWatcher, "NOWATCHER", "no such watcher"},
	{ErrRequestTimeout, "REQUESTTIMEOUT", "request timed out"},
	{ErrReconfigDisabled, "RECONFIGDISABLED", "reconfiguration is disabled"},
	{ErrSASLRequired, "SESSIONCLOSEDREQUIRESASLAUTH", "the server requires SASL authentication"},
	{ErrQuotaExceeded, "QUOTAEXCEEDED", "quota exceeded"},
	{ErrThrottled, "THROTTLEDOP", "request throttled, not executed"},
}

// Error says what the code means, in words.
func (c Code) Error() string {
	for i := range codeNames {
		if codeNames[i].code == c {
			return codeNames[i].text
		}
	}
	return fmt.Sprintf("ZooKeeper error %d", int32(c))
}

// String returns the protocol's name of the code, such as "NONODE", or
// "CODE(-9999)" for a number without one.
func (c Code) String() string {
	for i := range codeNames {
		if codeNames[i].code == c {
			return codeNames[i].name
		}
	}
	return fmt.Sprintf("CODE(%d)", int32(c))
}

// ParseCode is the reverse of String for named codes.
func ParseCode(name string) (Code, bool) {
	for i := range codeNames {
		if codeNames[i].name == name {
			return codeNames[i].code, true
		}
	}
	return 0, false
}

// madeByClient tells the codes no server ever sends: they stand for silence.
func (c Code) madeByClient() bool {
	return c == ErrConnectionLoss || c == ErrOperationTimeout || c == ErrRequestTimeout
}
