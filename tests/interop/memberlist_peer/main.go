// A member of a memberlist cluster, for tests beside nodes of this runtime: it
// does what it is told on its standard input, one JSON object a line, and tells
// what happens on its standard output, likewise.
//
// Commands carry a number, "id", and are answered with it: {"reply": 1} and what
// was asked for, or {"reply": 1, "error": "why"}. Bytes are base64. The program
// ends with its standard input, so that no test leaves one behind.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// How long leaving, and spreading new metadata, may take.
const patience = 5 * time.Second

// One command; which fields count depends on Do.
type command struct {
	ID        int      `json:"id"`
	Do        string   `json:"do"`
	Addresses []string `json:"addresses"`
	To        string   `json:"to"`
	Data      []byte   `json:"data"`
	Reliable  bool     `json:"reliable"`
}

// A member as it is told.
type told struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Meta    []byte `json:"meta"`
}

func tell(node *memberlist.Node) told {
	return told{node.Name, node.Address(), node.Meta}
}

var printing sync.Mutex

func print(line map[string]interface{}) {
	printing.Lock()
	defer printing.Unlock()
	bytes, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(bytes))
}

// What memberlist asks of the program, and tells it.
type peer struct {
	mutex sync.Mutex
	meta  []byte
	queue *memberlist.TransmitLimitedQueue
}

func (p *peer) NodeMeta(int) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.meta
}

func (p *peer) NotifyMsg(data []byte) {
	print(map[string]interface{}{"event": "message", "data": data})
}

func (p *peer) GetBroadcasts(overhead, limit int) [][]byte {
	return p.queue.GetBroadcasts(overhead, limit)
}

func (p *peer) LocalState(bool) []byte {
	return nil
}

func (p *peer) MergeRemoteState([]byte, bool) {}

func (p *peer) NotifyJoin(node *memberlist.Node) {
	print(map[string]interface{}{"event": "joined", "member": tell(node)})
}

func (p *peer) NotifyLeave(node *memberlist.Node) {
	print(map[string]interface{}{"event": "gone", "member": tell(node)})
}

func (p *peer) NotifyUpdate(node *memberlist.Node) {
	print(map[string]interface{}{"event": "updated", "member": tell(node)})
}

// A message for everybody, sent on by nobody but its author.
type broadcast []byte

func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                       { return b }
func (b broadcast) Finished()                             {}

func run(list *memberlist.Memberlist, p *peer, keys *memberlist.Keyring, c command) (map[string]interface{}, error) {
	switch c.Do {
	case "join":
		contacted, err := list.Join(c.Addresses)
		return map[string]interface{}{"contacted": contacted}, err
	case "members":
		members := []told{}
		for _, node := range list.Members() {
			members = append(members, tell(node))
		}
		return map[string]interface{}{"members": members}, nil
	case "meta":
		p.mutex.Lock()
		p.meta = c.Data
		p.mutex.Unlock()
		return nil, list.UpdateNode(patience)
	case "send":
		for _, node := range list.Members() {
			if node.Name != c.To {
				continue
			}
			if c.Reliable {
				return nil, list.SendReliable(node, c.Data)
			}
			return nil, list.SendBestEffort(node, c.Data)
		}
		return nil, fmt.Errorf("no member is called %q", c.To)
	case "broadcast":
		p.queue.QueueBroadcast(broadcast(c.Data))
		return nil, nil
	case "install":
		return nil, keys.AddKey(c.Data)
	case "use":
		return nil, keys.UseKey(c.Data)
	case "remove":
		return nil, keys.RemoveKey(c.Data)
	case "leave":
		return nil, list.Leave(patience)
	}
	return nil, fmt.Errorf("unknown command %q", c.Do)
}

func main() {
	name := flag.String("name", "", "its name")
	bind := flag.String("bind", "", "host:port of its gossip")
	key := flag.String("key", "", "the gossip key in base64; none: plain text")
	meta := flag.String("meta", "", "its metadata, as text")
	flag.Parse()
	if err := serve(*name, *bind, *key, *meta); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(name, bind, key, meta string) error {
	host, portText, err := net.SplitHostPort(bind)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	config := memberlist.DefaultLocalConfig()
	// Its thrift would cost tests up to 18 s now and then, when a word is missed.
	config.RetransmitMult = 4
	config.SuspicionMaxTimeoutMult = 2
	config.PushPullInterval = 2 * time.Second
	config.Name = name
	config.BindAddr, config.AdvertiseAddr = host, host
	config.BindPort, config.AdvertisePort = port, port
	p := &peer{meta: []byte(meta)}
	config.Delegate, config.Events = p, p
	if key != "" {
		bytes, err := base64.StdEncoding.DecodeString(key)
		if err != nil {
			return err
		}
		if config.Keyring, err = memberlist.NewKeyring(nil, bytes); err != nil {
			return err
		}
	}
	// The queue asks for the number of members as soon as there is one to gossip to.
	var list *memberlist.Memberlist
	ready := make(chan struct{})
	p.queue = &memberlist.TransmitLimitedQueue{
		NumNodes:       func() int { <-ready; return list.NumMembers() },
		RetransmitMult: config.RetransmitMult,
	}
	if list, err = memberlist.Create(config); err != nil {
		return err
	}
	close(ready)
	print(map[string]interface{}{"event": "started"})

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		reply, err := run(list, p, config.Keyring, c)
		if reply == nil {
			reply = map[string]interface{}{}
		}
		reply["reply"] = c.ID
		if err != nil {
			reply["error"] = strings.TrimSpace(err.Error())
		}
		print(reply)
	}
	return lines.Err()
}
