"""Every command of the window as an action with its shortcut, icon and tool tip."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from playground.core.settings import MAX_LANES
from playground.gui.lanes.commands import LaneCommand
from playground.gui.toolkit import theme


class Actions(QObject):
    """Holds every action; others connect and enable them.

    Those in `lane_commands` have a LaneCommand as their data and concern the current lane: the
    one that has, or had last, the focus. Those in `lanes` have a lane's index as their data,
    those in `themes` a theme's name. Those in `idle` are disabled during a run.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._icons: dict[QAction, str] = {}
        self.idle, self.lane_commands, self.lane_group, self.theme_group = (
            QActionGroup(self) for _ in range(4)
        )
        for group in (self.idle, self.lane_commands, self.lane_group):
            group.setExclusive(False)
        make = self._make

        self.run = make("&Run", "Ctrl+Enter", "play", "Load what is not loaded, and run the prompt")
        self.run.setShortcuts([QKeySequence("Ctrl+Enter"), QKeySequence("Ctrl+Return")])
        self.stop = make("&Stop", "Esc", "stop", "Stop every lane after its current token")
        self.regenerate = make(
            "Re&generate", "Ctrl+R", "refresh", "Run the last prompt again in every lane"
        )
        self.edit_last = make(
            "&Edit last prompt", "Alt+Up", "edit", "Put the last prompt back for editing"
        )
        self.clear = make("C&lear the texts", "Ctrl+Shift+X", "clear", "Clear all lanes' texts")
        self.founding = make(
            "The &founding comparison…",
            "Ctrl+Shift+F",
            "balance",
            "bf16, int8 and GPTQ on one prompt, measured in alternating order",
        )
        self.evaluate = make(
            "E&valuate…", "Ctrl+E", "evaluate", "Ask your own test questions, and get a verdict"
        )
        self.keep_case = make(
            "Keep the prompt as a &case",
            "Ctrl+Shift+T",
            "",
            "Add the prompt to the suite of kept prompts, for evaluations",
        )
        self.private_run = make(
            "Pri&vate run", "", "private", "While this is on, runs are not kept in the history"
        )
        self.private_run.setCheckable(True)
        self.history = make(
            "&History…", "Ctrl+H", "history", "Find earlier runs, open, compare and report them"
        )
        # The founding comparison stays enabled: its shortcut says why it has to wait.
        for action in (self.run, self.regenerate, self.edit_last, self.clear):
            self.idle.addAction(action)

        self.add_lane = make("&Add lane", "Ctrl+T", "plus", "Add a lane beside the others")
        self.duplicate_lane = make(
            "&Duplicate lane", "Ctrl+D", "duplicate", "Add a lane with the current one's choices"
        )
        self.remove_lane = make("Remo&ve lane", "Ctrl+W", "close", "Remove the current lane")
        self.enlarge_lane = make(
            "&Enlarge lane", "F11", "enlarge", "Show the current lane alone, or all again"
        )
        self.compare_lane = make(
            "&Compare with this lane",
            "",
            "star",
            "Make the current lane the reference (★) that the others are compared with",
        )
        self.move_lane_left = make(
            "Move lane &left", "Ctrl+Shift+Left", "left", "Move the current lane to the left"
        )
        self.move_lane_right = make(
            "Move lane &right", "Ctrl+Shift+Right", "right", "Move the current lane to the right"
        )
        self.choose_model = make(
            "Choose &model…", "Ctrl+M", "model", "Choose the model of the current lane"
        )
        self.open_folder = make(
            "&Open model folder…", "Ctrl+O", "folder", "Use a folder as the current lane's model"
        )
        self.quantize = make(
            "Make a &GPTQ version…",
            "Ctrl+Shift+Q",
            "shrink",
            "Quantize the current lane's model into a folder of the model library",
        )
        self.load_lane = make("L&oad the lane", "", "load", "Load the current lane's model")
        self.unload_lane = make(
            "U&nload the lane", "", "unload", "Unload the current lane and free its memory"
        )
        self.lane_memory = make(
            "Me&mory of the lane…", "", "fit", "The memory that the current lane's model takes"
        )
        self.regenerate_lane = make(
            "Regenerate &in the lane", "", "refresh", "Run the current lane's last prompt again"
        )
        self.load_all = make("&Load all lanes", "Ctrl+Shift+L", "load", "Load every lane's model")
        self.unload_all = make(
            "&Unload all lanes", "Ctrl+Shift+U", "unload", "Unload every lane and free its memory"
        )

        self.environments = make(
            "Engine en&vironments…", "", "engine", "Python installations that engines can run in"
        )
        self.servers = make(
            "Ser&vers…", "", "server", "Servers with OpenAI's API that lanes can run on"
        )
        self.keep_standby = make(
            "Keep a standby en&gine",
            "",
            "",
            "Keep an engine with imported libraries (about 0.3 GB), so that loading is quick",
        )
        self.keep_standby.setCheckable(True)
        self.keep_standby.setChecked(True)

        self.copy_answer = make(
            "&Copy answer", "Ctrl+Shift+C", "copy", "Copy the current lane's last answer"
        )
        self.copy_script = make(
            "Copy as &script", "", "code", "Copy a Python script that reproduces the answer"
        )
        self.copy_stamp = make("Copy s&tamp", "", "stamp", "Copy what produced the answer")
        for action, command in (
            (self.duplicate_lane, LaneCommand.DUPLICATE),
            (self.remove_lane, LaneCommand.REMOVE),
            (self.enlarge_lane, LaneCommand.ENLARGE),
            (self.compare_lane, LaneCommand.REFERENCE),
            (self.move_lane_left, LaneCommand.MOVE_LEFT),
            (self.move_lane_right, LaneCommand.MOVE_RIGHT),
            (self.choose_model, LaneCommand.CHOOSE_MODEL),
            (self.open_folder, LaneCommand.OPEN_FOLDER),
            (self.load_lane, LaneCommand.LOAD),
            (self.unload_lane, LaneCommand.UNLOAD),
            (self.lane_memory, LaneCommand.SHOW_MEMORY),
            (self.regenerate_lane, LaneCommand.REGENERATE),
            (self.copy_answer, LaneCommand.COPY_ANSWER),
            (self.copy_script, LaneCommand.COPY_SCRIPT),
            (self.copy_stamp, LaneCommand.COPY_STAMP),
        ):
            action.setData(command)
            self.lane_commands.addAction(action)
        self.export_plot = make(
            "&Export the plot…", "Ctrl+Shift+E", "export", "Save the plot as PNG, SVG or CSV"
        )

        self.focus_prompt = make("Go to &prompt", "Ctrl+L", "", "Go to the prompt")
        self.focus_options = make(
            "Go to generation &options", "Ctrl+Shift+O", "", "Go to the options"
        )
        self.focus_plot = make("Go to latency p&lot", "Ctrl+Shift+G", "", "Go to the latency plot")
        self.focus_table = make("Go to &figures", "Ctrl+Shift+Y", "", "Go to the table of figures")
        self.lanes: list[QAction] = []
        for index in range(MAX_LANES):
            n = index + 1
            action = make(f"Go to lane &{n}", f"Alt+{n}", "", f"Go to lane {n}")
            action.setData(index)
            self.lane_group.addAction(action)
            self.lanes.append(action)
        self.toggle_sidebar = make(
            "Show &sidebar", "Ctrl+B", "sidebar", "Show or hide prompt and options"
        )
        self.toggle_plot = make(
            "Show latency &plot", "Ctrl+Shift+D", "plot", "Show or hide plot and table"
        )
        for action in (self.toggle_sidebar, self.toggle_plot):
            action.setCheckable(True)
            action.setChecked(True)
        self.differences = make(
            "Mark &differences",
            "",
            "",
            "Mark where the lanes' answers differ from the reference lane's (★)",
        )
        self.differences.setCheckable(True)
        self.differences.setChecked(True)
        self.reading = make(
            "&Reading view", "F9", "", "Give the lanes' texts the whole window, or show all again"
        )
        self.reading.setCheckable(True)

        self.colour_probability = make(
            "Colour by pro&bability", "", "", "Shade each text where the model was unsure"
        )
        self.colour_probability.setCheckable(True)

        self.downloads = make(
            "Do&wnloads…", "Ctrl+J", "download", "Show current and finished downloads"
        )
        self.palette = make(
            "&Command palette…", "Ctrl+Shift+P", "search", "Find any command by its name"
        )
        self.settings = make("Se&ttings…", "Ctrl+,", "", "Colours, folders, engines, permissions")
        self.settings.setMenuRole(QAction.MenuRole.PreferencesRole)
        self.quit = make("&Quit", "Ctrl+Q", "", "Close the window and end every engine")
        self.quit.setMenuRole(QAction.MenuRole.QuitRole)

        self.themes: dict[str, QAction] = {}
        for choice, text in (("system", "As the s&ystem"), ("light", "&Light"), ("dark", "&Dark")):
            action = make(text, "", "", f"Colours: {choice}")
            action.setCheckable(True)
            action.setData(choice)
            self.theme_group.addAction(action)
            self.themes[choice] = action
        self.themes["system"].setChecked(True)

        self.help_figures = make("What the &figures mean", "F1", "help", "Each figure's formula")
        self.help_keys = make("&Keyboard shortcuts", "Ctrl+F1", "keyboard", "All shortcuts")
        self.about = make("&About", "", "", "Versions and licences")
        self.about.setMenuRole(QAction.MenuRole.AboutRole)

        theme.theme_changed.connect(self._tint)
        self._tint()

    def all(self) -> list[QAction]:
        """Return every action, in the order of the menus."""
        return [child for child in self.children() if isinstance(child, QAction)]

    def _make(self, text: str, shortcut: str, icon: str, tip: str) -> QAction:
        action = QAction(text, self)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        plain = text.replace("&", "").rstrip("…")
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{tip} ({keys})" if keys else tip)
        action.setStatusTip(tip)
        action.setObjectName(plain.lower().replace(" ", "_"))
        self._icons[action] = icon
        return action

    def _tint(self) -> None:
        for action, name in self._icons.items():
            if name:
                action.setIcon(theme.icon(name))
