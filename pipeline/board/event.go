// Package board writes event files that TensorBoard reads.
//
// A file is a list of records: length, its checksum, data, its checksum. Each record is an Event of TensorFlow's protocol buffers:
// a time, a step, and a summary of one value with its tag. The few messages that are needed are put together field by field,
// over the wire format of Go's protobuf module; there is no maintained Go module for these files, and TensorFlow's own
// definitions would bring a hundred messages for the seven that are used here.
package board

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protocol buffer in the making.
type message []byte

func (m message) bytes(field protowire.Number, data []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), data)
}

func (m message) text(field protowire.Number, text string) message {
	return m.bytes(field, []byte(text))
}

func (m message) int(field protowire.Number, x int64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), uint64(x))
}

func (m message) float(field protowire.Number, x float32) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, field, protowire.Fixed32Type), math.Float32bits(x))
}

func (m message) double(field protowire.Number, x float64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, field, protowire.Fixed64Type), math.Float64bits(x))
}

// Fields of Event, by number.
const (
	eventTime    = 1
	eventStep    = 2
	eventVersion = 3
	eventSummary = 5
	eventSession = 7
)

// sessionStart is a SessionLog of status START: what lies at later steps was lost, and is shown no more.
func sessionStart() message { return message(nil).int(1, 1) }

// value is Summary{Value{tag, …}}: what a step has under a tag.
func value(tag string, fields message) message {
	return message(nil).bytes(1, append(message(nil).text(1, tag), fields...))
}

func scalar(tag string, x float64) message { return value(tag, message(nil).float(2, float32(x))) }

// figure is a PNG file of a width and a height.
func figure(tag string, width, height int, png []byte) message {
	const rgba = 4
	picture := message(nil).int(1, int64(height)).int(2, int64(width)).int(3, rgba).bytes(4, png)
	return value(tag, message(nil).bytes(4, picture))
}

// plugin is the SummaryMetadata of a value that a plugin shows.
func plugin(name string, content message, class int64) message {
	m := message(nil).bytes(1, message(nil).text(1, name).bytes(2, content))
	if class > 0 {
		m = m.int(4, class)
	}
	return message(nil).bytes(9, m)
}

// text is Markdown: a tensor [1] of strings.
func text(tag, markdown string) message {
	const (
		str    = 7 // DT_STRING
		tensor = 2 // DATA_CLASS_TENSOR
	)
	shape := message(nil).bytes(2, message(nil).int(1, 1))
	data := message(nil).int(1, str).bytes(2, shape).text(8, markdown)
	return value(tag, append(message(nil).bytes(8, data), plugin("text", nil, tensor)...))
}

// hyperparameters are those of a run: a session of the hparams plugin, named by a group of its own. The value needs a tensor,
// which nobody reads.
func hyperparameters(group string, began float64, names []string, values map[string]any) message {
	start := message(nil)
	for _, name := range names {
		start = start.bytes(1, message(nil).text(1, name).bytes(2, hyperparameter(values[name])))
	}
	start = start.text(4, group).double(5, began)
	const float = 1 // DT_FLOAT
	shape := message(nil).bytes(2, message(nil).int(1, 1))
	nothing := message(nil).int(1, float).bytes(2, shape).float(5, 0)
	content := message(nil).bytes(3, start)
	return value("_hparams_/session_start_info", append(message(nil).bytes(8, nothing), plugin("hparams", content, 0)...))
}

// hyperparameter is a Value of protobuf's struct types: a number, a text or a truth.
func hyperparameter(x any) message {
	switch x := x.(type) {
	case int:
		return message(nil).double(2, float64(x))
	case float64:
		return message(nil).double(2, x)
	case bool:
		return message(nil).int(4, int64(map[bool]int{true: 1}[x]))
	case string:
		return message(nil).text(3, x)
	}
	return message(nil).int(1, 0) // null
}
