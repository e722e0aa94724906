package main

import (
	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// validate refuses values for attributes that AWS alone sets: the one rule of a schema that the command line leaves to the provider.
func validate(schema *tfprotov5.Schema, config *tfprotov5.DynamicValue) ([]*tfprotov5.Diagnostic, error) {
	value, err := config.Unmarshal(schema.ValueType())
	if err != nil {
		return nil, err
	}
	return validateBlock(schema.Block, value, tftypes.NewAttributePath()), nil
}

func validateBlock(block *tfprotov5.SchemaBlock, value tftypes.Value, at *tftypes.AttributePath) []*tfprotov5.Diagnostic {
	inner := map[string]tftypes.Value{}
	if !known(value) || value.As(&inner) != nil {
		return nil
	}
	var out []*tfprotov5.Diagnostic
	for _, attribute := range block.Attributes {
		if attribute.Computed && !attribute.Optional && !inner[attribute.Name].IsNull() {
			out = append(out, &tfprotov5.Diagnostic{
				Severity:  tfprotov5.DiagnosticSeverityError,
				Summary:   "Value for unconfigurable attribute",
				Detail:    "AWS decides on " + attribute.Name + "; no configuration can.",
				Attribute: at.WithAttributeName(attribute.Name),
			})
		}
	}
	for _, nested := range block.BlockTypes {
		where := at.WithAttributeName(nested.TypeName)
		if nested.Nesting == tfprotov5.SchemaNestedBlockNestingModeSingle {
			out = append(out, validateBlock(nested.Block, inner[nested.TypeName], where)...)
			continue
		}
		var elements []tftypes.Value
		if !known(inner[nested.TypeName]) || inner[nested.TypeName].As(&elements) != nil {
			continue
		}
		for index, element := range elements {
			found := validateBlock(nested.Block, element, where.WithElementKeyInt(index))
			if nested.Nesting == tfprotov5.SchemaNestedBlockNestingModeSet {
				// Elements of a set have no numbers.
				for _, one := range found {
					one.Attribute = where
				}
			}
			out = append(out, found...)
		}
	}
	return out
}
