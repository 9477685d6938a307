package udp

import (
	"golang.org/x/net/bpf"

	"p2plocal/core"
)

const udpHeader = 8 // bytes before the datagram in what a socket's filter sees

// assemble makes the program of a socket filter (classic BPF) that lets datagrams of
// the given shapes pass. nil: none are given, or they do not fit into a program.
func assemble(shapes []core.Shape) []bpf.RawInstruction {
	if len(shapes) == 0 {
		return nil
	}
	var program []bpf.Instruction
	for _, s := range shapes {
		begin := len(program)
		check := func(load bpf.Instruction, low, high uint32) {
			program = append(program, load, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: low}, bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: high})
		}
		check(bpf.LoadExtension{Num: bpf.ExtLen}, udpHeader+uint32(s.Shortest), udpHeader+uint32(s.Longest))
		for i := range len(s.Low) {
			check(bpf.LoadAbsolute{Off: udpHeader + uint32(i), Size: 1}, uint32(s.Low[i]), uint32(s.High[i]))
		}
		program = append(program, bpf.RetConstant{Val: core.MaxDatagram})
		for i, x := range program[begin:] { // a check that fails goes on with the next shape
			if jump, ok := x.(bpf.JumpIf); ok {
				skip := len(program) - (begin + i) - 1
				if skip > 255 {
					return nil
				}
				jump.SkipTrue = uint8(skip)
				program[begin+i] = jump
			}
		}
	}
	raw, err := bpf.Assemble(append(program, bpf.RetConstant{Val: 0}))
	if err != nil {
		return nil
	}
	return raw
}
