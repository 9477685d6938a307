package reports

// glossary are the words that reports and manuals use, each defined once.
var glossary = []fact{
	{"peer", words("a program of the mesh that sends keep-alives and messages to all others that it knows")},
	{"birth", words("the datagram by which a peer tells the server its name and port")},
	{"join", words("from a peer's first birth until a directory has told it of the others, and them of it")},
	{"directory", words("the datagram by which the server tells a peer who is a member")},
	{"directory view", words("whom a peer takes for members, by the last directory that it was sent")},
	{"keep-alive", words("the datagram by which a peer shows that it is alive; without any for longer than the deadline the server removes it")},
	{"removal", words("the server takes a silent peer out of its directory and tells the others")},
	{"false positive", words("a live peer removed")},
	{"broadcast", words("a message that a peer sends to each other peer in its directory view")},
	{"refresh", words("births that a member repeats, so that a server that does not know it (any more) takes it in again")},
	{"accounted", words("of each datagram sent it is known whether it was taken, refused, lost, and where; what is not is called unexplained and is a fault of the measurement")},
}
