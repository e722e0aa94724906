package main

import (
	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// known tells whether there is a value to look into.
func known(value tftypes.Value) bool {
	return value.Type() != nil && value.IsKnown() && !value.IsNull()
}

// text is a known string's, empty for everything else.
func text(value tftypes.Value) string {
	out := ""
	if known(value) && value.Type().Is(tftypes.String) {
		_ = value.As(&out) // It is a known string.
	}
	return out
}

// fields takes an object apart, nil if there is none.
func fields(packed *tfprotov5.DynamicValue, schema *tfprotov5.Schema) (map[string]tftypes.Value, error) {
	value, err := packed.Unmarshal(schema.ValueType())
	if err != nil || !known(value) {
		return nil, err
	}
	out := map[string]tftypes.Value{}
	return out, value.As(&out)
}
