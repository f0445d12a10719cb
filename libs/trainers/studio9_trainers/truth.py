"""What the pictures of a task truly show, and whether that is enough to learn it."""

from studio9_trainers.capabilities import Task
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.marks import MARKS, marked, without_marks
from studio9_trainers.errors import BadInput


def label_of(picture: Picture) -> str | None:
    """The label of a whole picture, none where it has none."""
    tags = picture.record.tags
    return tags[0].label if tags else None


def labels_of(task: Task, pictures: PictureSet) -> tuple[str, ...]:
    """The labels that occur, sorted; none where the task knows no labels."""
    match task:
        case "reconstruct":
            return ()
        case "classify":
            return tuple(sorted({label for one in pictures.pictures if (label := label_of(one)) is not None}))
        case "detect":
            return pictures.labels
        case _:
            return marked(task, pictures).labels


def check_learnable(task: Task, pictures: PictureSet) -> None:
    """Raise BadInput, naming the fix, where nothing can be learned from these pictures."""
    if task == "detect" and pictures.boxes == 0:
        raise BadInput(f"{pictures.name}: no picture has a box: label some.")
    if task == "classify":
        findings = []
        for number, picture in enumerate(pictures.pictures, 1):
            count = len(picture.record.tags)
            if count != 1:
                where = f"{pictures.name}, line {number} ({picture.record.filename or picture.record.picture_id})"
                findings.append(f"{where}: {count} labels, a classifier learns from exactly one: correct it.")
        if findings:
            raise BadInput.of(findings)
        if len(labels := labels_of(task, pictures)) < 2:
            raise BadInput(
                f"{pictures.name}: all pictures show {labels[0]!r}: a classifier needs two labels, so add another."
            )
    if task in MARKS and not marked(task, pictures).boxes:
        raise BadInput(f"{pictures.name}: {without_marks(task)}, which models to {task} learn from: mark some.")


def check_judgeable(task: Task, pictures: PictureSet) -> None:
    """Raise BadInput, naming the fix, where no figure can come of these pictures."""
    if task == "detect" and pictures.boxes == 0:
        raise BadInput(f"{pictures.name}: no picture has a box: label some, or predict instead.")
    if task in MARKS and not marked(task, pictures).boxes:
        raise BadInput(f"{pictures.name}: {without_marks(task)}: mark some, or predict instead.")
    if task != "reconstruct" and not labels_of(task, pictures):
        raise BadInput(f"{pictures.name}: no picture is labelled: label some, or predict instead.")
