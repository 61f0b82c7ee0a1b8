"""An account of AWS as Terraform makes it: all roots, from the record of their policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tools.policies import ACCOUNT, COPIES_REGION, ISSUER, RECORD, REGION
from totesys_dagster_tests.deployment.conditions import Context, UnknownError
from totesys_dagster_tests.deployment.documents import IDENTITY, RESOURCE, TRUST, Policy, Principal
from totesys_dagster_tests.deployment.evaluation import Decision, Request, Rights, decide

ENVIRONMENTS = ("staging", "production")
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/totesys-boundary"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"

# What AWS's own policy `AmazonRDSEnhancedMonitoringRole` allows.
MANAGED = {
    "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogGroup", "logs:PutRetentionPolicy"],
                "Resource": "arn:aws:logs:*:*:log-group:RDS*",
            },
            {
                "Effect": "Allow",
                "Action": [
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    "logs:DescribeLogStreams",
                    "logs:GetLogEvents",
                ],
                "Resource": "arn:aws:logs:*:*:log-group:RDS*:log-stream:*",
            },
        ],
    }
}


@cache
def recorded(path: Path = RECORD) -> Mapping[str, Any]:
    """The record of each root of Terraform's."""
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


class Account:
    """Asks the evaluator with the policies of everybody and everything in the account."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self.records = records
        self.roles: dict[str, Any] = {}
        self.resources: dict[str, Policy] = {}
        self.boundaries: dict[str, Policy] = {}
        for record in records.values():
            self.roles.update(record["roles"])
            for arn, document in record["resources"].items():
                self.resources[arn] = Policy.read(arn, document, RESOURCE)
            for arn, document in record["boundaries"].items():
                self.boundaries[arn] = Policy.read(arn, document, IDENTITY)
        self.logs = _of_logs(records)
        for name, role in self.roles.items():
            trust = Policy.read(f"trust of {name}", role["trust"], TRUST)
            self.resources[f"arn:aws:iam::{ACCOUNT}:role/{name}"] = trust
        self.rights = {name: self._rights(name) for name in self.roles}

    def _rights(self, role: str) -> Rights:
        """All policies of a role. Raises UnknownError for one of AWS's that is not known here."""
        found = self.roles[role]
        if unknown := set(found["managed"]) - MANAGED.keys():
            raise UnknownError(f"{role} has policies of AWS: {sorted(unknown)}")
        documents = found["policies"] | {arn: MANAGED[arn] for arn in found["managed"]}
        return Rights(
            [Policy.read(f"{role}/{name}", one, IDENTITY) for name, one in documents.items()],
            self.boundaries[found["boundary"]] if found["boundary"] else None,
        )

    def of(self, resource: str, action: str) -> Policy | None:
        """The policy of a resource: of an object, that of its bucket; of a role, its trust; of a
        log group, the account's."""
        if resource.startswith("arn:aws:iam:") and not action.startswith("sts:"):
            return None
        if resource.startswith(f"arn:aws:logs:{REGION}:{ACCOUNT}:"):
            return self.logs
        if resource.startswith("arn:aws:s3:"):
            return self.resources.get(resource.partition("/")[0])
        return self.resources.get(resource)

    def ask(self, principal: Principal, action: str, resource: str, context: Context) -> Decision:
        sent = {"aws:SecureTransport": "true", **context}
        rights = Rights()
        if principal.kind == "AWS" and principal.account == ACCOUNT:
            rights = self.rights[principal.role.rsplit("/", 1)[1]]
        request = Request(principal, action, resource, sent, ACCOUNT)
        return decide(request, rights, self.of(resource, action))

    def role(self, role: str, action: str, resource: str, **context: Any) -> Decision:
        """Whether a role may do this. Keys of the context have `__` for `:` in their names."""
        principal = Principal.session(f"arn:aws:iam::{ACCOUNT}:role/{role}", ACCOUNT)
        return self.ask(principal, action, resource, keys(context))

    def service(self, service: str, action: str, resource: str, **context: Any) -> Decision:
        return self.ask(Principal.service(service), action, resource, keys(context))


def _of_logs(records: Mapping[str, Any]) -> Policy:
    """All resource policies of CloudWatch Logs, which are the account's and not a log group's.

    AWS applies them to services alone: one that names somebody else raises UnknownError.
    """
    found = [
        Policy.read(name, document, RESOURCE)
        for record in records.values()
        for name, document in record["logs"].items()
    ]
    statements = tuple(one for policy in found for one in policy.statements)
    for one in statements:
        if set(one.elements.get("Principal", ())) != {"Service"}:
            raise UnknownError(f"a policy of logs for others than services: {one.elements}")
    return Policy("the policies of logs", RESOURCE, statements)


def keys(context: Mapping[str, Any]) -> Context:
    return {name.replace("__", ":").replace("_", "-"): value for name, value in context.items()}


class Environment:
    """The names of an environment's resources."""

    def __init__(self, name: str) -> None:
        self.short = name
        self.name = f"totesys-{name}"
        self.key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
        # What lies in the region of the copies.
        self.copies_key = f"arn:aws:kms:{COPIES_REGION}:{ACCOUNT}:key/{name}"
        self.topic = self.arn("sns", f"{self.name}-alerts")
        self.cluster = self.arn("ecs", f"cluster/{self.name}")

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def bucket(self, which: str, key: str = "") -> str:
        return f"arn:aws:s3:::{self.name}-{which}-{ACCOUNT}{'/' if key else ''}{key}"

    def secret(self, name: str) -> str:
        return self.arn("secretsmanager", f"secret:{self.name}/{name}-AbCdEf")

    def administrator(self, database: str) -> str:
        return self.arn("secretsmanager", f"secret:rds!{self.name}-{database}-AbCdEf")

    def definition(self, part: str) -> str:
        return self.arn("ecs", f"task-definition/{self.name}-{part}:7")

    def task(self) -> str:
        return self.arn("ecs", f"task/{self.name}/0123456789abcdef")

    def log(self, group: str) -> str:
        return self.arn("logs", f"log-group:{group}:log-stream:stream")

    def role(self, part: str) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}-{part}"
