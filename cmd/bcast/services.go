package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"bcast/internal/control"
	"bcast/internal/zeroconf"
)

// servicesInForce are the services that a daemon always announces. They can be read again.
type servicesInForce struct {
	home string
	api  control.API
	log  *slog.Logger
	inForce[control.Service]
}

// loadServices reads which services a home's daemon always announces.
func loadServices(dir string) (list []control.Service, err error) {
	services, err := zeroconf.LoadServices(dir)
	if err != nil {
		return nil, control.NewError(control.CodeInvalid, err, err.Error(), "see `bcast announce --help`")
	}
	for _, s := range services {
		list = append(list, control.Service{Name: s.Name, Type: s.Type, Port: s.Port, Text: s.Text})
	}
	return list, nil
}

// begin announces a list instead of what is announced now.
func (s *servicesInForce) begin(ctx context.Context, list []control.Service) {
	s.replace(ctx, list, func(ctx context.Context) {
		var work sync.WaitGroup
		for _, service := range list {
			work.Go(func() { s.announce(ctx, service) })
		}
		work.Wait()
	})
}

// announce logs what becomes of a service.
func (s *servicesInForce) announce(ctx context.Context, service control.Service) {
	for told, err := range s.api.Announce(ctx, service) {
		switch {
		case err != nil:
			s.log.Error("a service is not announced", "service", service.Name, "err", err)
		case told.Problem != "":
			s.log.Warn("a service is not announced", "service", told.Name, "by", told.By, "iface", told.Iface,
				"err", told.Problem)
		default:
			s.log.Info("a service is announced", "service", told.Name, "by", told.By, "iface", told.Iface)
		}
	}
}

// again reads the file again. One with a mistake changes nothing.
func (s *servicesInForce) again(ctx context.Context) error {
	list, err := loadServices(s.home)
	if err != nil {
		return err
	}
	s.begin(ctx, list)
	return nil
}

// serviceSettings are services as `bcast config` lists them.
func serviceSettings(list []control.Service) (settings []control.Setting) {
	for _, one := range list {
		value := strings.Join(append([]string{fmt.Sprintf("%q %s port %d", one.Name, one.Type, one.Port)}, one.Text...), " ")
		settings = append(settings, control.Setting{Name: "service", Value: value, From: "home"})
	}
	return settings
}
