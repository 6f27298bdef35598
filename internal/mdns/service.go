package mdns

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"
)

// Limits of what is announced.
const (
	longestLabel = 63   // bytes of a name (RFC 1035)
	longestType  = 15   // of a type behind its underscore (RFC 6335, section 5.1)
	longestText  = 255  // of one text
	mostText     = 1000 // of all of a service: they go into one datagram with the rest (RFC 6763, section 6.2)
)

// Service is something that a host offers.
type Service struct {
	Name string   // what people read: 1 to 63 bytes
	Type string   // such as _http._tcp
	Port int      // 1 to 65535
	Text []string // key=value, or key alone
}

// Check tells what is wrong with a service.
func (s Service) Check() error {
	switch {
	case s.Name == "" || len(s.Name) > longestLabel:
		return fmt.Errorf("the name %q has %d bytes: 1 to %d", s.Name, len(s.Name), longestLabel)
	case !printable(s.Name):
		return fmt.Errorf("the name %q has control characters", s.Name)
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port %d is not within 1 to 65535", s.Port)
	}
	if err := CheckType(s.Type); err != nil {
		return err
	}
	size := 0
	for _, text := range s.Text {
		key, _, _ := strings.Cut(text, "=")
		if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
			return fmt.Errorf("%q is not key=value: a key is of printable ASCII", text)
		}
		if len(text) > longestText || !printable(text) {
			return fmt.Errorf("the text of %q is longer than %d bytes or has control characters", key, longestText)
		}
		if size += len(text) + 1; size > mostText {
			return fmt.Errorf("all texts together have more than %d bytes", mostText)
		}
	}
	return nil
}

// CheckType tells what is wrong with a type of service.
func CheckType(kind string) error {
	name, transport, _ := strings.Cut(kind, ".")
	bare, marked := strings.CutPrefix(name, "_")
	switch {
	case !marked || transport != "_tcp" && transport != "_udp":
		return fmt.Errorf("%q is no type of service", kind)
	case bare == "" || len(bare) > longestType || !strings.ContainsFunc(bare, letter):
		return fmt.Errorf("the type %q has not 1 to %d characters with a letter among them", kind, longestType)
	case strings.ContainsFunc(bare, func(c rune) bool { return !letter(c) && (c < '0' || c > '9') && c != '-' }),
		bare[0] == '-', bare[len(bare)-1] == '-', strings.Contains(bare, "--"):
		return errors.New("a type is of letters, digits and single hyphens between them")
	}
	return nil
}

func letter(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// escape writes a label as the DNS library reads it: the inverse of plain.
func escape(label string) string {
	return strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(label)
}

// written is a name in the one way in which the library gives back what it read, so that names can be compared.
func written(name string) string {
	buf := make([]byte, 256)
	if n, err := dns.PackDomainName(name, buf, 0, nil, false); err == nil {
		if again, _, err := dns.UnpackDomainName(buf[:n], 0); err == nil {
			return again
		}
	}
	return name
}

// another is the label that is tried for the nth time: "Web (2)" of a service, "shelf-2" of a host. What is too long is
// cut between characters.
func another(label string, n int, host bool) string {
	if n == 1 {
		return label
	}
	end := fmt.Sprintf(" (%d)", n)
	if host {
		end = fmt.Sprintf("-%d", n)
	}
	for len(label)+len(end) > longestLabel {
		_, size := utf8.DecodeLastRuneInString(label)
		label = label[:len(label)-size]
	}
	return label + end
}

// HostLabel makes of a host's name the label that it has on the link: its first part, of letters, digits and hyphens.
func HostLabel(name string) string {
	name, _, _ = strings.Cut(name, ".")
	label := strings.Map(func(c rune) rune {
		if letter(c) || '0' <= c && c <= '9' || c == '-' {
			return c
		}
		return '-'
	}, name)
	label = strings.Trim(label[:min(len(label), longestLabel)], "-")
	if label == "" {
		return "bcast"
	}
	return label
}
