package control

// Probed is what one peer sent back.
type Probed struct {
	ID      string   `json:"id"`
	Nick    string   `json:"nick"`
	Tag     string   `json:"tag"`
	Addr    string   `json:"addr"`
	Iface   string   `json:"iface"`
	Answers bool     `json:"answers"` // false: to nothing; it was asked too often, or does not know how
	Echoes  []Echo   `json:"echoes"`
	AheadS  float64  `json:"ahead_s"` // its clock, of ours, in seconds
	Heard   []string `json:"heard"`   // beginnings of ids of those here for it; not of all in a large network
}

// Echo is a datagram that a peer was asked to send back, as large as what asked for it.
type Echo struct {
	Way   string `json:"way"`   // unicast | directed | limited: how it is sent back
	Size  int    `json:"size"`  // bytes
	Asked int    `json:"asked"` // times; 0: the peer had answered too much already
	Heard bool   `json:"heard"`
}
