"""The base class of a user's action."""

from __future__ import annotations

import pytest

from statemachine_engine.actions import BaseAction
from statemachine_engine.actors.actions.log_action import LogAction
from statemachine_engine.actors.errors import ActionError


class PlainAction(BaseAction):
    def execute(self, context):
        return self.get_config_value("success", "done")


class NoInitAction(BaseAction):
    def __init__(self, config):
        self.threshold = config["threshold"]
        super().__init__(config)

    async def execute(self, context):
        return None


def test_config_values_have_defaults():
    assert PlainAction({"success": "ready"}).execute({}) == "ready"
    assert PlainAction().execute({}) == "done"


def test_the_machine_name_comes_from_the_context():
    assert PlainAction({}).get_machine_name({"machine_name": "worker"}) == "worker"
    assert PlainAction({}).get_machine_name({}) == "unknown"


def test_the_description_falls_back_to_the_class_name():
    assert PlainAction({"description": "Resize"}).get_description() == "Resize"
    assert PlainAction({}).get_description() == "PlainAction"


def test_each_class_has_a_logger_of_its_own():
    assert PlainAction({}).logger.name == "statemachine_engine.actions.PlainAction"


def test_a_subclass_may_have_an_init_of_its_own():
    assert NoInitAction({"threshold": 3}).config == {"threshold": 3}


def test_the_config_is_the_actions_own_copy():
    given = {"a": 1}
    PlainAction(given).config["a"] = 2

    assert given == {"a": 1}


def test_services_outside_of_a_machine_are_an_error_that_says_so():
    with pytest.raises(ActionError, match="PlainAction needs a running machine"):
        _ = PlainAction({}).services


def test_a_class_without_execute_cannot_be_made():
    class Nothing(BaseAction):
        pass

    with pytest.raises(TypeError, match="execute"):
        Nothing({})  # type: ignore[abstract]


def test_a_subclass_of_an_instant_action_is_not_instant_by_itself():
    class SlowLog(LogAction):
        pass

    assert LogAction.instant
    assert not SlowLog.instant
