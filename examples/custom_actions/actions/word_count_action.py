"""word_count: a plain action that works on what an earlier one left in the context."""

from statemachine_engine.actions import BaseAction


class WordCountAction(BaseAction):
    """Counts the words of the context's `text` into `words`, and keeps the longest of them as `longest_words`."""

    def execute(self, context):
        words = [word.strip(".,;:!?") for word in context["text"].split()]
        how_many = self.get_config_value("longest", 1)
        context["words"] = len(words)
        context["longest_words"] = sorted(set(words), key=lambda word: (-len(word), word.lower()))[:how_many]
        return self.get_config_value("success", "counted")
