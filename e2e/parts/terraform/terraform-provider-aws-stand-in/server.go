package main

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// server answers the command line. What the command line does not ask of such a provider is left to the interface that is nil.
type server struct {
	tfprotov5.ProviderServer
	schemas  schemas
	settings settings
}

// settings are what the `provider` block says, as far as it shows in what AWS would answer.
type settings struct {
	region string
	tags   map[string]tftypes.Value
}

func (s *server) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	out := &tfprotov5.GetMetadataResponse{}
	for name := range s.schemas.resources {
		out.Resources = append(out.Resources, tfprotov5.ResourceMetadata{TypeName: name})
	}
	for name := range s.schemas.data {
		out.DataSources = append(out.DataSources, tfprotov5.DataSourceMetadata{TypeName: name})
	}
	return out, nil
}

func (s *server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &tfprotov5.GetProviderSchemaResponse{
		Provider: s.schemas.provider, ResourceSchemas: s.schemas.resources, DataSourceSchemas: s.schemas.data,
	}, nil
}

func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (s *server) GetFunctions(context.Context, *tfprotov5.GetFunctionsRequest) (*tfprotov5.GetFunctionsResponse, error) {
	return &tfprotov5.GetFunctionsResponse{}, nil
}

func (s *server) PrepareProviderConfig(_ context.Context, ask *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: ask.Config}, nil
}

func (s *server) ConfigureProvider(_ context.Context, ask *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	config, err := fields(ask.Config, s.schemas.provider)
	if err != nil {
		return nil, err
	}
	s.settings = settings{region: text(config["region"]), tags: map[string]tftypes.Value{}}
	if s.settings.region == "" {
		s.settings.region = "eu-west-1"
	}
	var blocks []tftypes.Value
	if known(config["default_tags"]) {
		err = config["default_tags"].As(&blocks)
	}
	for _, block := range blocks {
		inner := map[string]tftypes.Value{}
		if err = block.As(&inner); err == nil && known(inner["tags"]) {
			err = inner["tags"].As(&s.settings.tags)
		}
	}
	return &tfprotov5.ConfigureProviderResponse{}, err
}

func (s *server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (s *server) ValidateResourceTypeConfig(_ context.Context, ask *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	found, err := validate(s.schemas.resources[ask.TypeName], ask.Config)
	return &tfprotov5.ValidateResourceTypeConfigResponse{Diagnostics: found}, err
}

func (s *server) ValidateDataSourceConfig(_ context.Context, ask *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	if ask.TypeName == "aws_iam_policy_document" {
		// The real provider computes it, and what we would make up is no policy.
		return &tfprotov5.ValidateDataSourceConfigResponse{Diagnostics: []*tfprotov5.Diagnostic{{
			Severity: tfprotov5.DiagnosticSeverityError,
			Summary:  "Not to be had from the stand-in",
			Detail:   "Write the policy by jsonencode.",
		}}}, nil
	}
	found, err := validate(s.schemas.data[ask.TypeName], ask.Config)
	return &tfprotov5.ValidateDataSourceConfigResponse{Diagnostics: found}, err
}

func (s *server) UpgradeResourceState(_ context.Context, ask *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	typ := s.schemas.resources[ask.TypeName].ValueType()
	state, err := ask.RawState.Unmarshal(typ)
	if err != nil {
		return nil, err
	}
	packed, err := tfprotov5.NewDynamicValue(typ, state)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &packed}, err
}

func (s *server) ReadResource(_ context.Context, ask *tfprotov5.ReadResourceRequest) (*tfprotov5.ReadResourceResponse, error) {
	return &tfprotov5.ReadResourceResponse{NewState: ask.CurrentState, Private: ask.Private}, nil
}

func (s *server) PlanResourceChange(_ context.Context, ask *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	planned, err := s.plan(s.schemas.resources[ask.TypeName], ask.PriorState, ask.ProposedNewState)
	return &tfprotov5.PlanResourceChangeResponse{PlannedState: planned, PlannedPrivate: ask.PriorPrivate}, err
}

func (s *server) ApplyResourceChange(_ context.Context, ask *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	state, err := s.settle(ask.TypeName, s.schemas.resources[ask.TypeName], ask.PlannedState)
	return &tfprotov5.ApplyResourceChangeResponse{NewState: state, Private: ask.PlannedPrivate}, err
}

func (s *server) ReadDataSource(_ context.Context, ask *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	schema := s.schemas.data[ask.TypeName]
	asked, err := s.plan(schema, nil, ask.Config)
	if err != nil {
		return nil, err
	}
	state, err := s.settle("data."+ask.TypeName, schema, asked)
	return &tfprotov5.ReadDataSourceResponse{State: state}, err
}

func (s *server) ImportResourceState(context.Context, *tfprotov5.ImportResourceStateRequest) (*tfprotov5.ImportResourceStateResponse, error) {
	return nil, errors.New("the stand-in has nothing that could be imported")
}
