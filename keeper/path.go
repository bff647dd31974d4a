package keeper

import (
	"strings"
	"unicode/utf8"
)

// ValidatePath reports, as *InvalidError, a path that is not one: paths start
// with '/', have no empty, "." or ".." component and no trailing '/', and hold
// only printable characters of the Basic Multilingual Plane outside the private
// use area. The rules are those of ZooKeeper's PathUtils, plus valid UTF-8. It
// allocates nothing for a valid path.
func ValidatePath(path string) error { return pathError(path, pathFault(path, false)) }

// validateSequential applies the rules to a path that will get ten digits
// appended, so that its last component may be anything, even nothing.
func validateSequential(path string) error { return pathError(path, pathFault(path, true)) }

func pathError(path, why string) error {
	if why == "" {
		return nil
	}
	return &InvalidError{What: "path", Value: path, Why: why}
}

// ValidateName reports, as *InvalidError naming what, a string that cannot be
// one component of a path. Recipes pass every name a user gives them through
// it, so that a name cannot escape its directory.
func ValidateName(what, name string) error {
	var why string
	switch {
	case name == "":
		why = "is empty"
	case strings.Contains(name, "/"):
		why = "contains '/'"
	case len(name) > MaxName:
		why = "is longer than 255 bytes"
	default:
		why = componentFault(name)
		if why == "" {
			why = textFault(name)
		}
	}
	if why != "" {
		return &InvalidError{What: what, Value: name, Why: why}
	}
	return nil
}

// MaxName bounds a name that ValidateName accepts, in bytes.
const MaxName = 255

// pathFault says what is wrong with a path, "" for nothing. open means that
// something will be appended to it.
func pathFault(path string, open bool) string {
	switch {
	case path == "":
		return "is empty"
	case path[0] != '/':
		return "does not start with '/'"
	case path == "/":
		return ""
	case path[len(path)-1] == '/' && !open:
		return "ends with '/'"
	}
	for rest := path[1:]; ; {
		part, tail, more := strings.Cut(rest, "/")
		if more || !open {
			if why := componentFault(part); why != "" {
				return why
			}
		}
		if why := textFault(part); why != "" {
			return why
		}
		if !more {
			return ""
		}
		rest = tail
	}
}

func componentFault(name string) string {
	switch name {
	case "":
		return "has an empty component"
	case ".", "..":
		return "has a relative component"
	}
	return ""
}

func textFault(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return unusualTextFault(s[i:])
		}
	}
	return ""
}

func unusualTextFault(s string) string {
	for i, r := range s {
		if !forbidden(r) {
			continue
		}
		// U+FFFD, forbidden itself, is also what range makes of a bad byte.
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return "is not valid UTF-8"
		}
		return "has a forbidden character"
	}
	return ""
}

// forbidden lists what Java's PathUtils refuses, per UTF-16 unit: every rune
// beyond the BMP is a surrogate pair there.
func forbidden(r rune) bool {
	return r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
}

// Parent returns the path of the parent; that of "/" is "/".
func Parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// Base returns the last component of a path; that of "/" is "".
func Base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Join appends a name to a directory: Join("/", "a") is "/a".
func Join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
