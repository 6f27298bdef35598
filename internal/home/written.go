package home

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ReadWritten reads a file of a home that people write, of most bytes at most. fs.ErrNotExist is told as it is.
func ReadWritten(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > most:
		return nil, fmt.Errorf("%s is longer than %d bytes", name, most)
	}
	return os.ReadFile(name)
}

// ParseWritten reads the TOML of such a file into a struct, or tells in which line what is wrong. A key that the struct
// lacks is wrong, too: people would wait for what it is to do.
func ParseWritten(text []byte, into any) (line int, err error) {
	err = toml.NewDecoder(strings.NewReader(string(text))).DisallowUnknownFields().Decode(into)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		line, _ := strict.Errors[0].Position()
		return line, fmt.Errorf("%s is not known here", strings.Join(strict.Errors[0].Key(), "."))
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return line, errors.New(strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return 1, err
}

// TablesWritten are the lines in which a [[…]] stands, in order.
func TablesWritten(text []byte) (lines []int) {
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if key := e.Key(); e.Kind == unstable.ArrayTable && key.Next() {
			lines = append(lines, p.Shape(key.Node().Raw).Start.Line)
		}
	}
	return lines
}
