// Package agent is the agent's side of the conversation that lib/ages/agent.py describes, for the Go clients.
package agent

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Wait bounds whatever a client waits for.
const Wait = 30 * time.Second

// LargestMessage is the size of the largest record that is written or read.
const LargestMessage = 6_000_000

// Metadata is what a member says with its commits.
const Metadata = "a word about it"

// Bootstrap is the broker's address.
var Bootstrap = os.Getenv("BOOTSTRAP")

// Header is one header of a record.
type Header struct {
	Name  string
	Value []byte
}

// Record is what a producer is given; a nil Timestamp is the client's clock.
type Record struct {
	Timestamp  *time.Time
	Key, Value []byte
	Headers    []Header
}

// Command answers one command with lines; `given` are the records of one that writes.
type Command func(arguments []string, given []Record) ([]string, error)

// Serve answers commands until there are no more.
func Serve(commands map[string]Command) {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		lines, err := answer(commands, words, in)
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
		if err == nil {
			fmt.Fprintln(out, "ok")
		} else {
			fmt.Fprintf(out, "error\t%s\n", strings.Join(strings.Fields(err.Error()), " "))
		}
		out.Flush()
	}
}

func answer(commands map[string]Command, words []string, in *bufio.Reader) ([]string, error) {
	var given []Record
	if words[0] == "produce" || words[0] == "transact" {
		for range Number(words[len(words)-1]) {
			line, err := in.ReadString('\n')
			if err != nil {
				return nil, err
			}
			given = append(given, parse(strings.Split(strings.TrimSuffix(line, "\n"), "\t")))
		}
	}
	command, known := commands[words[0]]
	if !known {
		return nil, fmt.Errorf("no command is %s", words[0])
	}
	return command(words[1:], given)
}

// Number is a word of a command as a number.
func Number(word string) int64 {
	number, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}

func parse(fields []string) Record {
	record := Record{Key: bytes(fields[1]), Value: bytes(fields[2])}
	if fields[0] != "-" {
		timestamp := time.UnixMilli(Number(fields[0]))
		record.Timestamp = &timestamp
	}
	if fields[3] != "-" {
		for _, header := range strings.Split(fields[3], ",") {
			name, value, _ := strings.Cut(header, "=")
			record.Headers = append(record.Headers, Header{name, bytes(value)})
		}
	}
	return record
}

func bytes(field string) []byte {
	if field == "-" {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(field)
	if err != nil {
		panic(err)
	}
	return decoded
}

func field(value []byte) string {
	if value == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(value)
}

// Line is a record that was read.
func Line(partition int32, offset int64, stamp string, key, value []byte, headers []Header) string {
	pairs := []string{}
	for _, header := range headers {
		pairs = append(pairs, header.Name+"="+field(header.Value))
	}
	if len(pairs) == 0 {
		pairs = []string{"-"}
	}
	words := []string{"record", fmt.Sprint(partition), fmt.Sprint(offset), stamp, field(key), field(value), strings.Join(pairs, ",")}
	return strings.Join(words, "\t")
}

// Log is what a member of a group has and has seen; the member's goroutines write it, Look empties it.
type Log struct {
	lock     sync.Mutex
	assigned []string
	lines    []string
}

// Assign sets the partitions.
func (l *Log) Assign(partitions []int32) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.assigned = nil
	for _, partition := range partitions {
		l.assigned = append(l.assigned, fmt.Sprint(partition))
	}
}

// Add keeps a line.
func (l *Log) Add(line string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.lines = append(l.lines, line)
}

// Look is the answer to the command look.
func (l *Log) Look() []string {
	l.lock.Lock()
	defer l.lock.Unlock()
	lines := append([]string{"assigned\t" + strings.Join(l.assigned, ",")}, l.lines...)
	l.lines = nil
	return lines
}
