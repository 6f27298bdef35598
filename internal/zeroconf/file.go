package zeroconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"bcast/internal/home"
	"bcast/internal/mdns"
)

// ServicesFile is the name of the file in the home that says what a daemon always announces.
const ServicesFile = "announce.toml"

const (
	// maxFile is the longest file in bytes, and maxServices how many services it may hold: others have room beside them.
	maxFile     = 1 << 18
	maxServices = 32
)

// LoadServices reads the services of a home; without a file there are none. What is wrong with the file is said with
// the line, or with the service's name.
func LoadServices(dir string) ([]mdns.Service, error) {
	name := filepath.Join(dir, ServicesFile)
	text, err := home.ReadWritten(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	services, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return services, nil
}

// parse reads services; an error begins with where it is.
func parse(text []byte) (services []mdns.Service, err error) {
	var file struct {
		Service []struct {
			Name string   `toml:"name"`
			Type string   `toml:"type"`
			Port int      `toml:"port"`
			Text []string `toml:"txt"`
		} `toml:"service"`
	}
	if line, err := home.ParseWritten(text, &file); err != nil {
		return nil, fmt.Errorf("%d: %w", line, err)
	}
	if len(file.Service) > maxServices {
		return nil, fmt.Errorf(" %d services, at most %d", len(file.Service), maxServices)
	}
	for n, entry := range file.Service {
		service := mdns.Service(entry)
		if err := service.Check(); err != nil {
			return nil, fmt.Errorf(" service %d: %w", n+1, err)
		}
		services = append(services, service)
	}
	return services, nil
}
