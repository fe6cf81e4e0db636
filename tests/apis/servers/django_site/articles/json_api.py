"""djangorestframework-jsonapi: JSON:API with its own page numbers and filters, for everybody."""

from rest_framework_json_api.django_filters import DjangoFilterBackend
from rest_framework_json_api.filters import QueryParameterValidationFilter
from rest_framework_json_api.metadata import JSONAPIMetadata
from rest_framework_json_api.pagination import JsonApiPageNumberPagination
from rest_framework_json_api.parsers import JSONParser
from rest_framework_json_api.renderers import JSONRenderer
from rest_framework_json_api.serializers import ModelSerializer
from rest_framework_json_api.views import ReadOnlyModelViewSet

from articles.models import TIME_FILTERS, Article


class ArticleSerializer(ModelSerializer):
    """All fields."""

    class Meta:
        model = Article
        fields = "__all__"


class Articles(ReadOnlyModelViewSet):
    """What the library's documentation sets for a whole site, set for this view."""

    class pagination_class(JsonApiPageNumberPagination):
        page_size = 20
        max_page_size = 50

    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    filter_backends = [QueryParameterValidationFilter, DjangoFilterBackend]
    filterset_fields = TIME_FILTERS
    renderer_classes = [JSONRenderer]
    parser_classes = [JSONParser]
    metadata_class = JSONAPIMetadata
    authentication_classes = []
