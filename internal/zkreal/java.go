package zkreal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// homeVar names a directory with an unpacked Apache ZooKeeper release, to be
// used instead of Debian's package.
const homeVar = "CONCLAVE_ZOOKEEPER_HOME"

// debianJars are those a server needs. The manifest of the first names the
// rest; the Netty ones are for TLS.
func debianJars() []string {
	const dir = "/usr/share/java/"
	return []string{
		dir + "zookeeper.jar", dir + "slf4j-simple.jar",
		dir + "netty-codec.jar", dir + "netty-resolver.jar",
	}
}

// java is a runtime and the class path of a ZooKeeper.
type java struct {
	binary    string
	classPath string
}

// errMissing is what a test that cannot run its server says.
func errMissing(what string, cause error) error {
	return fmt.Errorf("a real ZooKeeper cannot run here: %s (%w).\n"+
		"`make setup` installs what is missing on Debian as root: apt-get install zookeeper default-jre-headless.\n"+
		"Elsewhere install Java 11 or later, unpack an Apache ZooKeeper release and set %s to its directory.\n"+
		"To run the tests without a real ZooKeeper set %s=%s", what, cause, homeVar, envVar, embedded)
}

func findJava() (java, error) {
	if Embedded() {
		return java{}, fmt.Errorf("this test starts a real ZooKeeper although %s=%s: it must ask zkreal.Embedded first", envVar, embedded)
	}
	binary, err := exec.LookPath("java")
	if err != nil {
		return java{}, errMissing("no Java runtime", err)
	}
	if home := os.Getenv(homeVar); home != "" {
		jars, err := filepath.Glob(filepath.Join(home, "lib", "zookeeper-[0-9]*.jar"))
		if err == nil && len(jars) == 0 {
			err = os.ErrNotExist
		}
		if err != nil {
			return java{}, errMissing("no lib/zookeeper-*.jar in "+homeVar, err)
		}
		return java{binary, filepath.Join(home, "lib", "*")}, nil
	}
	jars := debianJars()
	for _, jar := range jars {
		if _, err := os.Stat(jar); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				err = os.ErrNotExist // the text below names the file already
			}
			return java{}, errMissing("no "+jar, err)
		}
	}
	return java{binary, strings.Join(jars, string(os.PathListSeparator))}, nil
}

// command is the server's command line: a small heap and the cheapest garbage
// collector and compiler, since what counts is to be up soon.
func (j java) command(config string, flags []string, log *os.File) *exec.Cmd {
	args := append([]string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.net.preferIPv4Stack=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dzookeeper.preAllocSize=1024", // KiB of log made in advance, not 64 MiB
		"-Dzookeeper.extendedTypesEnabled=true",
		"-Dznode.container.checkIntervalMs=200",
	}, flags...)
	args = append(args, "-cp", j.classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	// The process outlives every context a test has: stop and kill end it.
	cmd := exec.CommandContext(context.Background(), j.binary, args...) //nolint:gosec // a test chooses them
	cmd.Dir = filepath.Dir(config)                                      // where a crashing JVM leaves its report
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}
