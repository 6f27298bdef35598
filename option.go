package bcast

import "bcast/internal/zeroconf"

// Option says something of how a Node takes part. A [Config] is one, which says everything but the network; where two
// say something of the same thing, the later one counts.
type Option interface{ configure(*Config) }

type option func(*Config)

func (o option) configure(cfg *Config) { o(cfg) }

func (cfg Config) configure(all *Config) {
	if cfg.lan == nil {
		cfg.lan = all.lan
	}
	if cfg.subnet == nil {
		cfg.subnet = all.subnet
	}
	*all = cfg
}

// Ephemeral takes part without files: a new key, kept in memory like all that is said. It is what happens without a
// Home anyway; Ephemeral says so, and makes it so of a Config with a Home.
func Ephemeral() Option { return option(func(cfg *Config) { cfg.Home = "" }) }

// OnHost looks, with [Browse], where a host of this module's own tests is.
func OnHost(host zeroconf.Host) Option { return option(func(cfg *Config) { cfg.subnet = host }) }

// OnLAN takes part in a network in memory, instead of those of this host.
func OnLAN(lan *LAN) Option { return option(func(cfg *Config) { cfg.lan = lan }) }
