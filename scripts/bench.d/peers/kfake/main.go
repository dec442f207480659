// A kfake cluster of one broker: the fake Kafka of franz-go, as a peer of scripts/bench.
//
// It adds nothing to kfake but a command line: -port, -data-dir (without it everything stays in memory) and
// -override KEY=VALUE with a broker's setting, which may be repeated. SIGTERM ends it cleanly.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

type settings map[string]string

func (s settings) String() string { return "" }

func (s settings) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is not KEY=VALUE", text)
	}
	s[key] = value
	return nil
}

func main() {
	overrides := settings{}
	port := flag.Int("port", 9092, "where clients connect")
	dataDir := flag.String("data-dir", "", "where the log is kept; empty: in memory")
	flag.Var(overrides, "override", "KEY=VALUE, a broker's setting")
	flag.Parse()

	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(*port),
		kfake.BrokerConfigs(overrides),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelError)),
	}
	if *dataDir != "" {
		options = append(options, kfake.DataDir(*dataDir))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start kfake:", err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	<-stop
	cluster.Close()
}
