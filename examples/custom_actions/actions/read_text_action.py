"""read_text: an asynchronous action that leaves what it found in the context."""

import asyncio
from pathlib import Path

from statemachine_engine.actions import BaseAction


class ReadTextAction(BaseAction):
    """Reads the file named by `path` into the context as `text`."""

    async def execute(self, context):
        path = Path(self.get_config_value("path"))
        # While this waits, other machines and their actions go on.
        context["text"] = await asyncio.to_thread(path.read_text, encoding="utf-8")
        self.logger.info("%s read %s", self.get_machine_name(context), path.name)
        return self.get_config_value("success", "text_read")
