package keeper

import (
	"strings"
	"unicode/utf8"
)

// ValidatePath reports, as *InvalidError, a path that is not one: paths start
// with '/', have no empty, "." or ".." component and no trailing '/', and hold
// only printable characters of the Basic Multilingual Plane outside the private
// use area. The rules are those of ZooKeeper's PathUtils, plus valid UTF-8.
func ValidatePath(path string) error {
	if why := pathFault(path); why != "" {
		return &InvalidError{What: "path", Value: path, Why: why}
	}
	return nil
}

// validateSequential applies the rules to a path that will get ten digits
// appended, so that a trailing '/' is legal.
func validateSequential(path string) error {
	if why := pathFault(path + "0"); why != "" {
		return &InvalidError{What: "path", Value: path, Why: why}
	}
	return nil
}

// ValidateName reports, as *InvalidError naming what, a string that cannot be
// one component of a path. Recipes pass every name a user gives them through
// it, so that a name cannot escape its directory.
func ValidateName(what, name string) error {
	why := ""
	switch {
	case name == "":
		why = "is empty"
	case strings.Contains(name, "/"):
		why = "contains '/'"
	case len(name) > MaxName:
		why = "is longer than 255 bytes"
	default:
		why = pathFault("/" + name)
	}
	if why != "" {
		return &InvalidError{What: what, Value: name, Why: why}
	}
	return nil
}

// MaxName bounds a name that ValidateName accepts, in bytes.
const MaxName = 255

func pathFault(path string) string {
	if path == "" {
		return "is empty"
	}
	if path[0] != '/' {
		return "does not start with '/'"
	}
	if path == "/" {
		return ""
	}
	if path[len(path)-1] == '/' {
		return "ends with '/'"
	}
	if !utf8.ValidString(path) {
		return "is not valid UTF-8"
	}
	for rest := path[1:]; ; {
		part, tail, more := strings.Cut(rest, "/")
		switch part {
		case "":
			return "has an empty component"
		case ".", "..":
			return "has a relative component"
		}
		for _, r := range part {
			if forbidden(r) {
				return "has a forbidden character"
			}
		}
		if !more {
			return ""
		}
		rest = tail
	}
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
