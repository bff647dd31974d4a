package zkserver

const defaultVersion = "3.8"

// behaviour is what differs between versions of ZooKeeper. The zero value is
// 3.8.0 as Debian ships it, with the fix of CVE-2024-23944.
type behaviour struct {
	full string // as the monitoring commands show it
}

//nolint:gochecknoglobals // a table, never written
var versions = map[string]behaviour{
	"3.8": {full: "3.8.0-conclave"},
}
