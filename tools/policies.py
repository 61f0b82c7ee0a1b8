"""Record every policy that Terraform would make: `python -m tools.policies`.

The policies are those of `terraform test`'s plan, with a mocked provider: AWS is not asked. A
first plan says which resources there are and how they are named; from that, a second one is given
the ARNs that AWS would give them. The tests evaluate the record, so they need no Terraform;
`--check` says whether it still is what Terraform makes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TERRAFORM = ROOT / "terraform"
RECORD = ROOT / "totesys_dagster_tests" / "deployment" / "policies.json"
ROOTS = ("bootstrap", "environments/staging", "environments/production")
PATIENCE_SECONDS = 300

ACCOUNT = "111122223333"
REGION = "eu-west-2"
ISSUER = "token.actions.githubusercontent.com"

# What AWS calls the resources whose names stand in policies.
ARNS = {
    "aws_acm_certificate": "arn:aws:acm:{region}:{account}:certificate/{key}",
    "aws_cloudwatch_event_rule": "arn:aws:events:{region}:{account}:rule/{name}",
    "aws_cloudwatch_log_group": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "aws_db_instance": "arn:aws:rds:{region}:{account}:db:{identifier}",
    "aws_ecr_repository": "arn:aws:ecr:{region}:{account}:repository/{name}",
    "aws_ecs_cluster": "arn:aws:ecs:{region}:{account}:cluster/{name}",
    "aws_iam_openid_connect_provider": f"arn:aws:iam::{{account}}:oidc-provider/{ISSUER}",
    "aws_iam_policy": "arn:aws:iam::{account}:policy/{name}",
    "aws_iam_role": "arn:aws:iam::{account}:role/{name}",
    "aws_kms_key": "arn:aws:kms:{region}:{account}:key/{key}",
    "aws_s3_bucket": "arn:aws:s3:::{bucket}",
    "aws_service_discovery_private_dns_namespace": (
        "arn:aws:servicediscovery:{region}:{account}:namespace/{name}"
    ),
    "aws_secretsmanager_secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf",
    "aws_sns_topic": "arn:aws:sns:{region}:{account}:{name}",
}
# What other resources refer to them by.
IDS = {"aws_iam_role": "name", "aws_s3_bucket": "bucket", "aws_ecr_repository": "name"}

# What lies in the second region.
COPIES = "module.replica"
COPIES_REGION = "eu-west-1"

VALIDATION = [
    {
        "domain_name": "dagster.example.com",
        "resource_record_name": "_validation.dagster.example.com",
        "resource_record_type": "CNAME",
        "resource_record_value": "validation.example.com",
    }
]

VARIABLES = {
    "bootstrap": {"region": REGION, "repository": "example/totesys_dagster"},
    "environment": {
        "region": REGION,
        "availability_zones": [f"{REGION}a", f"{REGION}b"],
        "image_tag": "commit",
        "allowed_cidrs": ["192.0.2.0/24"],
        "source_cidrs": ["198.51.100.10/32"],
        "domain_name": "dagster.example.com",
        "hosted_zone_id": "Z0",
        "cognito_domain_prefix": "totesys",
        "alert_emails": ["ann@example.com"],
        "alert_mail": {
            "sender": "totesys@example.com",
            "recipients": ["ann@example.com"],
            "readers": ["eve@example.com"],
            "port": 465,
        },
        "monthly_budget_usd": 800,
        # All that is off by default.
        "replica_region": COPIES_REGION,
        "drops_from": [f"arn:aws:iam::{ACCOUNT}:role/planning"],
        "running": False,
        "agent": {"organization": "terrific-totes", "image_tag": "plus-commit"},
    },
}

# What both providers, of the region and of the copies, are asked for.
WHERE = f"""
  mock_data "aws_caller_identity" {{
    defaults = {{ account_id = "{ACCOUNT}" }}
  }}
  mock_data "aws_partition" {{
    defaults = {{ partition = "aws" }}
  }}
"""
MOCKS = f"""
mock_provider "aws" {{
  override_during = plan
  {WHERE}
  mock_data "aws_iam_policy" {{
    defaults = {{ arn = "arn:aws:iam::{ACCOUNT}:policy/totesys-boundary" }}
  }}
  mock_data "aws_ecr_repository" {{
    defaults = {{ arn = "arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys" }}
  }}
  mock_resource "aws_acm_certificate" {{
    defaults = {{
      arn                       = "arn:aws:acm:{REGION}:{ACCOUNT}:certificate/unknown"
      domain_validation_options = {json.dumps(VALIDATION)}
    }}
  }}
}}

mock_provider "aws" {{
  alias           = "replica"
  override_during = plan
  {WHERE}
}}

run "policies" {{
  command = plan
}}
"""

Resource = dict[str, Any]


class CannotPlanError(Exception):
    """Terraform could not plan; the message is its own."""


def _terraform(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["terraform", f"-chdir={directory}", *arguments],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotPlanError(str(error)) from error
    if done.returncode:
        raise CannotPlanError(f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _values(root: str, resource: Resource) -> dict[str, Any]:
    """What AWS would say of a resource once it is made."""
    kind, planned = resource["type"], resource["change"]["after"]
    region = COPIES_REGION if COPIES in resource["address"] else REGION
    known = {**planned, "account": ACCOUNT, "region": region, "key": root.split("/")[-1]}
    values: dict[str, Any] = {"arn": ARNS[kind].format_map(known)}
    if kind in IDS:
        values["id"] = planned[IDS[kind]]
    if kind == "aws_db_instance":
        name = f"rds!{planned['identifier']}"
        secret = ARNS["aws_secretsmanager_secret"].format_map({**known, "name": name})
        values["master_user_secret"] = [
            {"secret_arn": secret, "secret_status": "active", "kms_key_id": "key"}
        ]
    if kind == "aws_acm_certificate":
        values["domain_validation_options"] = VALIDATION
    return values


def _overrides(root: str, resources: list[Resource]) -> str:
    """JSON is an expression of Terraform's."""
    return "".join(
        f"override_resource {{\n  target = {resource['address']}\n  override_during = plan\n"
        f"  values = {json.dumps(_values(root, resource))}\n}}\n"
        for resource in resources
        if resource["type"] in ARNS
    )


def _plan(directory: Path, root: str, overrides: str) -> list[Resource]:
    kind = "bootstrap" if root == "bootstrap" else "environment"
    given = "".join(f"  {name} = {json.dumps(one)}\n" for name, one in VARIABLES[kind].items())
    tests = directory / "tests"
    tests.mkdir(exist_ok=True)
    text = f"{MOCKS}\nvariables {{\n{given}}}\n{overrides}"
    (tests / "policies.tftest.hcl").write_text(text)
    for line in _terraform(directory, "test", "-json", "-verbose").splitlines():
        message = json.loads(line)
        if message["type"] == "test_plan":
            changes: list[Resource] = message["test_plan"]["resource_changes"]
            return [one for one in changes if one["mode"] == "managed"]
    raise CannotPlanError("terraform test printed no plan")


def planned(root: str) -> list[Resource]:
    """All resources of a root of Terraform's, as `terraform test` plans them.

    Raises CannotPlanError where Terraform or its provider cannot be had, or finds an error.
    """
    with tempfile.TemporaryDirectory(prefix="policies-") as name:
        copy = Path(name) / "terraform"
        shutil.copytree(TERRAFORM, copy, ignore=shutil.ignore_patterns(".terraform", "tests"))
        directory = copy / root
        _terraform(directory, "init", "-backend=false", "-input=false")
        first = _plan(directory, root, "")
        return _plan(directory, root, _overrides(root, first))


def _document(resource: Resource, attribute: str) -> Any:
    text = resource["change"]["after"].get(attribute)
    if text is None:
        raise CannotPlanError(f"{resource['address']}: its {attribute} is not known in the plan")
    return json.loads(text)


def _of(resources: list[Resource], kind: str, **known: str) -> list[Resource]:
    """The resources of a kind whose attributes have the values that are `known`."""
    return [
        one
        for one in resources
        if one["type"] == kind and known.items() <= one["change"]["after"].items()
    ]


def _roles(resources: list[Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in _of(resources, "aws_iam_role"):
        after = resource["change"]["after"]
        name = after["name"]
        yield (
            name,
            {
                "boundary": after.get("permissions_boundary"),
                "trust": _document(resource, "assume_role_policy"),
                "managed": sorted(
                    one["change"]["after"]["policy_arn"]
                    for one in _of(resources, "aws_iam_role_policy_attachment", role=name)
                ),
                "policies": {
                    one["change"]["after"]["name"]: _document(one, "policy")
                    for one in _of(resources, "aws_iam_role_policy", role=name)
                },
            },
        )


# Policies of resources: where the document stands, and what says which resource it is of.
ATTACHED = {
    "aws_kms_key": ("policy", None),
    "aws_s3_bucket_policy": ("policy", "arn:aws:s3:::{bucket}"),
    "aws_sns_topic_policy": ("policy", "{arn}"),
}


def _attached(root: str, resources: list[Resource]) -> Iterator[tuple[str, Any]]:
    for resource in resources:
        if resource["type"] in ATTACHED:
            attribute, place = ATTACHED[resource["type"]]
            arn = (
                place.format_map(resource["change"]["after"])
                if place
                else _values(root, resource)["arn"]
            )
            yield arn, _document(resource, attribute)


def _rules(resources: list[Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rules of EventBridge: which events, where to, and in which words."""
    for resource in _of(resources, "aws_cloudwatch_event_rule"):
        rule = resource["change"]["after"]["name"]
        targets = [
            one["change"]["after"]
            for one in _of(resources, "aws_cloudwatch_event_target", rule=rule)
        ]
        yield (
            rule,
            {
                "pattern": _document(resource, "event_pattern"),
                "targets": [
                    {"arn": target["arn"], **_words(target["input_transformer"])}
                    for target in targets
                ],
            },
        )


def _words(transformers: list[dict[str, Any]]) -> dict[str, Any]:
    """What a target makes of an event, empty where it gets the event as it is."""
    return {name: one[f"input_{name}"] for one in transformers for name in ("paths", "template")}


def record(root: str) -> dict[str, Any]:
    """The policies of a root, by what they are of, and the kinds of resources it has."""
    resources = planned(root)
    return {
        "kinds": sorted({resource["type"] for resource in resources}),
        "roles": dict(sorted(_roles(resources))),
        "resources": dict(sorted(_attached(root, resources))),
        "boundaries": {
            _values(root, one)["arn"]: _document(one, "policy")
            for one in _of(resources, "aws_iam_policy")
        },
        "logs": {
            one["change"]["after"]["policy_name"]: _document(one, "policy_document")
            for one in _of(resources, "aws_cloudwatch_log_resource_policy")
        },
        "rules": dict(_rules(resources)),
        "arns": {
            kind: sorted(_values(root, one)["arn"] for one in _of(resources, kind))
            for kind in sorted(ARNS.keys() & {one["type"] for one in resources})
        },
    }


def written(records: Mapping[str, Any]) -> str:
    return json.dumps(records, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Record every policy that Terraform would make.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    text = written({root.split("/")[-1]: record(root) for root in ROOTS})
    if not check:
        RECORD.write_text(text)
    elif RECORD.read_text() != text:
        print(f"{RECORD.relative_to(ROOT)} is not what Terraform makes: `make policies` writes it.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
