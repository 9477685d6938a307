package machine

import (
	"regexp"
	"strings"
)

// Redact takes users and passwords out of a list of URLs, each with a scheme or without.
func Redact(urls string) string {
	all := strings.Split(urls, ",")
	for i, u := range all {
		host := u
		if _, after, ok := strings.Cut(u, "://"); ok {
			host = after
		}
		all[i] = u[:len(u)-len(host)] + host[strings.LastIndexByte(host, '@')+1:]
	}
	return strings.Join(all, ",")
}

var user = regexp.MustCompile(`(://)\S*@`)

// redacted is a command line as it may be shown: without the users and passwords of the URLs in it.
func redacted(args []string) (shown []string) {
	for i, a := range args {
		name, value, given := strings.Cut(a, "=")
		switch {
		case i > 0 && isURL(args[i-1]):
			a = Redact(a)
		case given && isURL(name):
			a = name + "=" + Redact(value)
		default:
			a = user.ReplaceAllString(a, "$1")
		}
		shown = append(shown, a)
	}
	return shown
}

// isURL reports that an argument is the flag whose value is URLs.
func isURL(arg string) bool { return arg == "-nats" || arg == "--nats" }
